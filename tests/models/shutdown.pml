// Edges P1 and P2 of runtime/detail/machine.hpp: what is posted while a runtime ends is called on its core or refused, no mail
// is left behind, and no poster touches the runtime after its end.
//
// Each statement is one seq_cst operation of the code. Two foreign threads post a function to a core (post_to); each begins
// before the runtime is gone. A third wakes what run() waits for (core::post); then the runtime ends. Each function sends a
// mail to the other core, which sends one back, so cores get mail after they have ended. That no core sleeps on mail is in
// park.pml. Mutations that must be found:
//   -DCLOSE_LATE      the runtime closes after it has waited for the posters
//   -DNO_FIRST_WAIT   it does not wait for them before it tells the cores to end
//   -DNO_SECOND_WAIT  it does not wait for them after the cores have ended
//   -DNOT_COUNTED     runtime::post does not count itself
//   -DLOOK_FIRST      runtime::post looks whether the runtime is closed before it counts itself
//   -DPUSH_FIRST      core::post pushes before it counts itself
//   -DUNCOUNT_EARLY   core::post uncounts itself before it wakes the core
//   -DTAKE_EARLY      the runtime takes the late mail before the cores have ended
//   -DTAKE_ONCE       it looks for late mail once per core, not for what that sends in turn

#define POSTERS 2
#define CORES 2

mtype = { CALL, ANSWER, LAST, WAKE, END };
chan inbox[CORES] = [9] of { mtype };             // room for all mail that there is
byte posters = 0;                                 // machine::posters
bool closed = false;
bool ran = false;                                 // run() may return
byte ended = 0;                                   // cores
bool gone = false;                                // the runtime

inline touch() { assert(!gone) }

// visit: cores are joined, so they do not count themselves
inline count() {
  if
  :: !joined -> atomic { touch(); posters++ }
  :: else
  fi
}
inline uncount() {
  if
  :: !joined -> atomic { touch(); posters-- }
  :: else
  fi
}

inline core_post(to, what) {
#ifdef PUSH_FIRST
  atomic { touch(); inbox[to]!what }
  count();
#else
  count();
  atomic { touch(); inbox[to]!what }              // inbox::push
#endif
#ifdef UNCOUNT_EARLY
  uncount();
  touch()
#else
  touch();                                        // wake_if_asleep
  uncount()
#endif
}

inline deliver(here) {
  if
  :: m == CALL -> core_post(1 - here, ANSWER)
  :: m == ANSWER -> core_post(1 - here, LAST)
  :: m == LAST
  :: m == WAKE -> ran = true
  :: m == END -> ending = true
  fi
}

proctype core(byte id) {
  bool joined = true;
  bool ending = false;
  mtype m;
  do
  :: inbox[id]?m -> deliver(id)                   // take_mail
  :: empty(inbox[id]) && ending -> break          // finished
  od;
  ended++
}

// runtime::post. A call that begins after the last look at the posters is a bug in its caller.
active [POSTERS] proctype poster() {
  bool joined = false;
  bool refused;
  byte there;
  if
  :: there = 0
  :: there = 1
  fi;
  if
#ifdef LOOK_FIRST
  :: atomic { !gone -> refused = closed }
       count();
#else
#ifdef NOT_COUNTED
  :: atomic { !gone -> refused = closed }
#else
  :: atomic { !gone -> posters++ }                // P2 step 1
       atomic { touch(); refused = closed }       // P2 step 2
#endif
#endif
       if
       :: !refused -> core_post(there, CALL)
       :: else
       fi;
#ifndef NOT_COUNTED
       uncount()
#endif
  :: gone
  fi
}

active proctype waker() {
  bool joined = false;
  core_post(0, WAKE)
}

inline deliver_late(here) { assert(m == ANSWER || m == LAST); deliver(here) }

inline take_late_mail() {
  do
  :: inbox[0]?m -> deliver_late(0)
  :: empty(inbox[0]) ->
#ifdef TAKE_ONCE
       do
       :: inbox[1]?m -> deliver_late(1)
       :: empty(inbox[1]) -> break
       od;
       break
#else
       if
       :: inbox[1]?m -> deliver_late(1)
       :: empty(inbox[1]) -> break
       fi
#endif
  od
}

// ~runtime
active proctype destructor() {
  bool joined = false;                            // this thread is no core's
  bool ending;
  mtype m;
  (ran);
#ifndef CLOSE_LATE
  closed = true;                                  // P2 step 1
#endif
#ifndef NO_FIRST_WAIT
  (posters == 0);                                 // P2 step 2
#endif
#ifdef CLOSE_LATE
  closed = true;
#endif
  core_post(0, END);                              // ask_to_end
  core_post(1, END);
#ifdef TAKE_EARLY
  take_late_mail();
  (ended == CORES);
#else
  (ended == CORES);                               // joined
  take_late_mail();
#endif
  atomic {
#ifndef NO_SECOND_WAIT
    (posters == 0);                               // P1
#endif
    gone = true;
    assert(empty(inbox[0]) && empty(inbox[1]))
  }
}

init { atomic { run core(0); run core(1) } }
