// Edge J1 of runtime/when.hpp: the task that waits for branches goes on once, and when all have ended.
//
// Two branches end on other cores than the one where their parent waits; the home carries out a cancel meanwhile, which may
// travel. Who counts to zero ends the wait (C2 of root.hpp). Mutations that must be found:
//   -DREVIVE       a cancel is counted though no branch is left
//   -DNOT_COUNTED  a cancel that travels is not counted
//   -DNO_PIN       the home does not say that it carries a cancel out

#define BRANCHES 2

byte left = BRANCHES;     // group::left_
byte looking = 0;         // who still looks at the group, in the frame of the parent
byte resumed = 0;
byte ended = 0;
mtype = { none, kind, busy, woken };
mtype word = kind;        // root::wait_ of the parent
bool travels = false;     // the mail of the cancel

inline go_on() { atomic { assert(looking == 0 && ended == BRANCHES && resumed == 0); resumed++ } }

// The last of all: looks at the outcomes, then ends the wait.
inline finish() {
  atomic { seen = word; word = (word == kind -> none : woken); looking-- }  // claim_wait
  if
  :: seen == kind -> go_on()
  :: else                                         // the home makes it ready
  fi
}

inline one_less() {
  atomic { left--; last = (left == 0); if :: last -> skip :: else -> looking-- fi }
  if
  :: last -> finish()
  :: else
  fi
}

active [BRANCHES] proctype branch() {
  bool last;
  mtype seen;
  atomic { looking++; ended++ }
  one_less()
}

// The cancel on its way through other cores.
active proctype elsewhere() {
  bool last;
  mtype seen;
  if
  :: travels -> atomic { travels = false; assert(resumed == 0); looking++ } one_less()
  :: resumed > 0 && !travels
  fi
}

active proctype home() {
  bool counted = false;
  bool last;
  bool pinned;
  mtype seen;
#ifdef NO_PIN
  pinned = (word == kind);
#else
  atomic { pinned = (word == kind); word = (pinned -> busy : word) }  // pin_wait
#endif
  if
  :: pinned ->
       atomic { looking++; assert(resumed == 0) }
#ifdef REVIVE
       atomic { counted = true; left++ }
#else
#ifndef NOT_COUNTED
       atomic { counted = (left > 0); left = (counted -> left + 1 : left) }
#else
       counted = true;
#endif
#endif
       if
       :: counted ->
            if
            :: travels = true; looking--
            :: one_less()
            fi
       :: else -> looking--
       fi;
#ifndef NO_PIN
       atomic { seen = word; word = (seen == busy -> kind : none) }  // cancel_pinned
       if
       :: seen == woken -> go_on()
       :: else
       fi
#endif
  :: else
  fi
}
