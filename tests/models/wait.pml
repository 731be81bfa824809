// C1 and C2 of runtime/detail/root.hpp: no cancel is missed, and each wait ends once.
//
// A task waits several times, on the core where it runs. A task of core 1 wakes it at most once per wait, and takes it
// there; a foreign thread cancels it, whereupon the core where it waits gets mail. Fewer wakes than waits: the task ends only
// by the cancel, so a run that ends without that is a cancel that was missed. Mutations that must be found:
//   -DNO_SECOND_LOOK  a wait does not look for a cancel after it has begun
//   -DMARK_LATE       the canceller looks who waits before it sets the mark
//   -DNO_PIN          the home does not say that it carries a cancel out
//   -DPLAIN_CLAIM     the other core ends the wait by plain stores
//   -DIGNORE_WOKEN    the home does not look whether the wait has ended while it carried out the cancel
//   -DSTALE_PIN       the home pins by a plain store

#define WAITS 3
#define WAKES 2

bool cancelled = false;
mtype = { none, kind, busy, woken };
mtype word = none;                                // root::wait_
byte home = 0;
bool ready[2];
bool mail[2];
bool over = false;                                // the task has ended
bool stopping = false;
byte begun = 0;                                   // waits
byte wakes = WAKES;

mtype = { nobody, waker, canceller };
mtype decided = nobody;                           // awaiting::claim, under the lock of the list
bool in_list = false;
bool in_frame = false;                            // the home uses what lies in the frame

inline make_ready(c) { atomic { assert(!ready[0] && !ready[1]); ready[c] = true } }

// root::begin_wait, after which the task stands in a list
inline begin_wait(c) {
  if
  :: cancelled -> stopping = true; make_ready(c)
  :: else ->
       word = kind;
#ifdef NO_SECOND_LOOK
       atomic { decided = nobody; in_list = true }
#else
       if
       :: cancelled -> word = none; stopping = true; make_ready(c)
       :: else -> atomic { decided = nobody; in_list = true }
       fi
#endif
  fi
}

// The task, when its core runs it.
inline resume(c) {
  atomic { ready[c] = false; assert(!in_frame); home = c }
  if
  :: stopping -> over = true
  :: else ->
       assert(begun < WAITS);
       begun++;
       begin_wait(c)
  fi
}

// root::carry_out_cancel with awaiting::cancel
inline carry_out_cancel(c) {
  pinned = false;
  if
  :: home == c && word == kind ->
#ifdef NO_PIN
       pinned = true;
#else
#ifdef STALE_PIN
       pinned = true;
       word = busy;
#else
       atomic { pinned = (home == c && word == kind); word = (pinned -> busy : word) }
#endif
#endif
  :: else
  fi;
  if
  :: pinned ->
       in_frame = true;
       atomic { won = (in_list && decided == nobody); decided = (won -> canceller : decided) }
       if
       :: won -> in_list = false
       :: else
       fi;
       in_frame = false;
#ifdef NO_PIN
       if
       :: won -> stopping = true; word = none; make_ready(c)
       :: else
       fi
#else
       if
       :: won -> stopping = true; word = woken    // stop() inside of it
       :: else
       fi;
#ifdef IGNORE_WOKEN
       word = kind
#else
       atomic { won = (word == busy); word = (won -> kind : word) }
       if
       :: !won -> word = none; make_ready(c)
       :: else
       fi
#endif
#endif
  :: else
  fi
}

// event::open and the like on core 1: decides under the lock, then root::complete_from_any_thread
inline wake_waiter() {
  atomic { in_list && decided == nobody && wakes > 0 -> decided = waker; in_list = false; wakes-- }
#ifdef PLAIN_CLAIM
  seen = word;
  word = (seen == busy -> woken : none);
#else
  if
  :: home == 1 -> seen = word; word = (seen == busy -> woken : none)
  :: else -> atomic { seen = word; word = (seen == busy -> woken : none) }
  fi;
#endif
  if
  :: seen != busy -> make_ready(1)
  :: else
  fi
}

proctype core(byte c) {
  bool pinned;
  bool won;
  mtype seen;
  do
  :: ready[c] -> resume(c)
  :: mail[c] -> mail[c] = false; carry_out_cancel(c)
  :: c == 1 && in_list && wakes > 0 && decided == nobody ->
       if
       :: wake_waiter()
       :: !(in_list && decided == nobody)         // the cancel was faster
       fi
  :: over -> break
  od
}

active proctype cancelling() {
  mtype seen;
  byte there;
#ifdef MARK_LATE
  seen = word;
  there = home;
  cancelled = true;                               // root::cancel
#else
  cancelled = true;
  seen = word;
  there = home;
#endif
  if
  :: seen != none -> mail[there] = true
  :: else
  fi
}

init { atomic { ready[0] = true; run core(0); run core(1) } }
