// Edge I1 of runtime/detail/core.hpp: no core sleeps on posted mail, and not all sleep on an injected task.
//
// Each statement is one seq_cst operation of the code. Core 0 gets mail, and any core may take what is injected. The run is
// wrong if it can end with something left and all cores asleep; spin reports that as an invalid end state. Mutations that
// must be found:
//   -DNO_LOOK_AGAIN     a core does not look into the inbox between announcing and blocking
//   -DNO_LOOK_INJECTED  nor into the injection queue
//   -DLOOK_FIRST        a core looks before it announces
//   -DNO_WAKE           the poster does not look whether the core sleeps
//   -DNO_WAKE_INJECTED  nor does who injects
//   -DRING_FIRST        a poster rings the bell before it takes the announcement back

#define CORES 2
#define MAILS 2     // of one poster
#define INJECTED 2  // one each of several threads

byte inbox = 0;           // of core 0
byte size = 0;            // injection::size_: counted before a push
byte queued = 0;          // what can be taken from the injection
byte mails_left = MAILS;  // not delivered yet
byte injected_left = INJECTED;
bool sleeping[CORES];
bool bell[CORES];

inline wake_if_asleep(c) {
  woke = false;
  if
  :: sleeping[c] ->                               // the load
#ifdef RING_FIRST
       bell[c] = true;
       sleeping[c] = false;
       woke = true
#else
       atomic { woke = sleeping[c]; sleeping[c] = false }  // the exchange
       if
       :: woke -> bell[c] = true                  // driver::wake
       :: else
       fi
#endif
  :: else
  fi
}

active proctype poster() {
  byte sent = 0;
  bool woke;
  do
  :: sent < MAILS ->
       inbox++;                                   // inbox::push
       sent++;
#ifndef NO_WAKE
       wake_if_asleep(0)
#endif
  :: else -> break
  od
}

active [INJECTED] proctype injector() {
  bool woke;
  size++;                                         // injection::push
  queued++;
#ifndef NO_WAKE_INJECTED
  wake_if_asleep(0);
  if
  :: !woke -> wake_if_asleep(1)
  :: else
  fi
#endif
}

inline look() {
  block = true;
#ifndef NO_LOOK_AGAIN
  if
  :: id == 0 && inbox > 0 -> block = false
  :: else
  fi;
#endif
#ifndef NO_LOOK_INJECTED
  if
  :: size > 0 -> block = false
  :: else
  fi
#endif
}

proctype core(byte id) {
  bool block;
  do
  :: mails_left + injected_left > 0 ->
       if
       :: id == 0 -> atomic { mails_left = mails_left - inbox; inbox = 0 }  // take_mail
       :: else
       fi;
       if                                         // injection::pop
       :: atomic { queued > 0 -> queued--; injected_left-- } size--
       :: else
       fi;
#ifdef LOOK_FIRST
       look();
       sleeping[id] = true;
#else
       sleeping[id] = true;                       // announce
       look();
#endif
       if
       :: block -> (bell[id] || mails_left + injected_left == 0)  // the driver blocks until the bell rings
       :: else                                    // a poll that does not block may swallow a ring
       fi;
       bell[id] = false;
       sleeping[id] = false
  :: else -> break
  od
}

init { atomic { run core(0); run core(1) } }
