// Edge I1 of runtime/detail/core.hpp: no core sleeps on posted mail.
//
// Each statement is one seq_cst operation of the code. The run is wrong if it can end with the core asleep and mail in its
// inbox; spin reports that as an invalid end state. Mutations that must be found:
//   -DNO_LOOK_AGAIN   the core does not look into the inbox between announcing and blocking
//   -DLOOK_FIRST      the core looks before it announces
//   -DNO_WAKE         the poster does not look whether the core sleeps

#ifndef POSTERS
#define POSTERS 3
#endif
#define MAILS 2 // of each poster

byte inbox = 0;
bool sleeping = false;
bool bell = false;

proctype poster() {
  byte sent = 0;
  bool was;
  do
  :: sent < MAILS ->
       inbox++;                                   // inbox::push
       sent++;
#ifndef NO_WAKE
       if
       :: sleeping ->                             // the load
            atomic { was = sleeping; sleeping = false }  // the exchange
            if
            :: was -> bell = true                 // driver::wake
            :: else
            fi
       :: else
       fi
#endif
  :: else -> break
  od
}

active proctype core() {
  byte taken = 0;
  bool block;
  do
  :: taken < POSTERS * MAILS ->
       atomic { taken = taken + inbox; inbox = 0 } // inbox::take
#ifdef LOOK_FIRST
       block = (inbox == 0);
       sleeping = true;
#else
       sleeping = true;                           // announce
#ifdef NO_LOOK_AGAIN
       block = true;
#else
       block = (inbox == 0);                      // look again
#endif
#endif
       if
       :: taken == POSTERS * MAILS -> break
       :: else
       fi
       if
       :: block -> (bell) -> bell = false         // the driver blocks until the bell rings
       :: else -> bell = false                    // a poll that does not block may swallow a ring
       fi
       sleeping = false
  :: else -> break
  od
}

init {
  byte i = 0;
  atomic {
    do
    :: i < POSTERS -> run poster(); i++
    :: else -> break
    od
  }
}
