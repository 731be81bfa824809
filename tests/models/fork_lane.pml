// Edges Q2 and Q3 of runtime/detail/fork_lane.hpp: each root that was pushed comes out once.
//
// One owner, who pushes and pops as it likes, against thieves, in a lane of two slots, which are filled again. The end looks
// whether all roots have come out. Mutations that must be found:
//   -DPLAIN_LAST     pop takes the last one without moving top
//   -DLOOK_FIRST     pop looks at top before it claims
//   -DNO_STEP_BACK   pop leaves bottom where it claimed
//   -DREAD_LATE      a thief reads the slot after it has moved top
//   -DNO_LIMIT       push does not look whether the slot is free

#define CAPACITY 2
#define ROOTS 4
#define THIEVES 2

short top = 0;
short bottom = 0;
byte slots[CAPACITY];
byte taken[ROOTS];

inline take(r) { atomic { taken[r]++; assert(taken[r] == 1) } }

inline push() {
#ifdef NO_LIMIT
  slots[bottom % CAPACITY] = pushed;
  pushed++;
  bottom = bottom + 1
#else
  t = top;
  if
  :: bottom - t < CAPACITY ->
       slots[bottom % CAPACITY] = pushed;
       pushed++;
       bottom = bottom + 1
  :: else
  fi
#endif
}

inline pop() {
  last = bottom - 1;
  t = top;
  if
  :: last >= t ->
#ifdef LOOK_FIRST
       t = top;
       bottom = last;
#else
       bottom = last;                             // claim
       t = top;                                   // look
#endif
       if
       :: t < last -> r = slots[last % CAPACITY]; take(r)
       :: else ->
#ifdef PLAIN_LAST
            won = (t == last);
#else
            atomic { won = (t == last && top == t); top = (won -> top + 1 : top) }
#endif
#ifndef NO_STEP_BACK
            bottom = last + 1;
#endif
            if
            :: won -> r = slots[last % CAPACITY]; take(r)
            :: else
            fi
       fi
  :: else
  fi
}

active proctype owner() {
  byte pushed = 0;
  short last;
  short t;
  byte r;
  bool won;
  do
  :: pushed < ROOTS -> push()
  :: pushed < ROOTS -> pop()
  :: pushed == ROOTS && bottom > top -> pop()
  :: pushed == ROOTS && bottom <= top -> break
  od;
  (_nr_pr == 1);                                  // the thieves have ended
  for (r : 0 .. ROOTS - 1) { assert(taken[r] == 1) }
}

active [THIEVES] proctype thief() {
  byte tries = 0;
  short t;
  byte r;
  bool won;
  do
  :: tries < 2 ->
       tries++;
       t = top;
       if
       :: t < bottom ->
#ifndef READ_LATE
            r = slots[t % CAPACITY];
#endif
            atomic { won = (top == t); top = (won -> top + 1 : top) }
            if
            :: won ->
#ifdef READ_LATE
                 r = slots[t % CAPACITY];
#endif
                 take(r)
            :: else
            fi
       :: else
       fi
  :: break
  od
}
