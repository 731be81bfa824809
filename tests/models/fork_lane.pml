// Edges Q2 and Q3 of runtime/detail/fork_lane.hpp: each root that was pushed comes out once.
//
// One owner, who pushes and pops as it likes, against thieves, in a lane of two slots, which are filled again. What the owner
// stores into bottom and top waits in a store buffer: it is written some time later, in order, or when the owner executes a full
// barrier, of its own or one that a thief forces. The end looks whether all roots have come out. Mutations that must be found:
//   -DPLAIN_LAST     pop moves top by a plain store for the last one though it has seen thieves
//   -DBOTTOM_FIRST   pop that is alone moves bottom before top
//   -DNO_TOP         pop that is alone does not move top
//   -DLOOK_FIRST     pop looks for thieves before it claims
//   -DNO_SECOND      pop finds thieves and claims without a barrier
//   -DNO_FORCE       a thief forces no barrier
//   -DFORCE_FIRST    a thief forces the barrier before it announces itself
//   -DNO_STEP_BACK   pop leaves bottom where it claimed
//   -DREAD_LATE      a thief reads the slot after it has moved top
//   -DNO_LIMIT       push does not look whether the slot is free

#define CAPACITY 2
#define ROOTS 4
#define THIEVES 2

short top = 0;
short bottom = 0;
mtype = { BOTTOM, TOP };
chan buffer = [3] of { mtype, short };            // of the owner
byte tops = 0;                                    // of these for top, at most one
byte thieves = 0;
byte slots[CAPACITY];
byte taken[ROOTS];

inline take(r) { atomic { taken[r]++; assert(taken[r] == 1) } }
inline write_one() {
  if
  :: buffer?BOTTOM,bottom
  :: buffer?TOP,top -> tops--
  fi
}
inline barrier() { d_step { do :: nempty(buffer) -> write_one() :: empty(buffer) -> break od } }

active proctype store_buffer() {
end:
  do
  :: atomic { write_one() }
  od
}

inline look_at_top() { t = (tops != 0 -> my_top : top) }
inline move_top_alone() {
#ifdef NO_TOP
  skip
#else
  atomic { my_top = last + 1; tops++; buffer!TOP(my_top) }
#endif
}

inline push() {
#ifndef NO_LIMIT
  look_at_top();
  if
  :: mine - t < CAPACITY ->
#endif
       slots[mine % CAPACITY] = pushed;
       pushed++;
       mine = mine + 1;
       buffer!BOTTOM(mine)
#ifndef NO_LIMIT
  :: else
  fi
#endif
}

inline pop() {
  last = mine - 1;
  look_at_top();
  if
  :: last >= t ->
       r = slots[last % CAPACITY];
#ifdef LOOK_FIRST
       seen = thieves;
#endif
       mine = last;
       buffer!BOTTOM(mine);                       // claim
#ifndef LOOK_FIRST
       seen = thieves;                            // look for thieves
#endif
#ifndef NO_SECOND
       if
       :: seen != 0 -> barrier()
       :: else
       fi;
#endif
       look_at_top();
       if
       :: t < last -> take(r)
       :: else ->
            won = (t == last);
            if
            :: !won
#ifdef PLAIN_LAST
            :: won -> move_top_alone()
#else
#ifdef BOTTOM_FIRST
            :: won && seen == 0 -> mine = last + 1; buffer!BOTTOM(mine); move_top_alone()
#else
            :: won && seen == 0 -> move_top_alone()
#endif
            :: won && seen != 0 ->
                 atomic { barrier(); won = (top == t); top = (won -> top + 1 : top) }
#endif
            fi;
#ifndef NO_STEP_BACK
            mine = last + 1;
            buffer!BOTTOM(mine);
#endif
            if
            :: won -> take(r)
            :: else
            fi
       fi
  :: else
  fi
}

active proctype owner() {
  byte pushed = 0;
  byte seen;
  short mine = 0;                                 // bottom as the owner sees it
  short last;
  short my_top = 0;                               // what it stored there last
  short t;
  byte r;
  bool won;
  do
  :: pushed < ROOTS -> push()
  :: pushed < ROOTS -> pop()
  :: pushed == ROOTS ->
       look_at_top();
       if
       :: mine > t -> pop()
       :: else -> break
       fi
  od;
  (_nr_pr == 2);                                  // the thieves have ended
  for (r : 0 .. ROOTS - 1) { assert(taken[r] == 1) }
}

active [THIEVES] proctype thief() {
  byte tries = 0;
  short t;
  byte r;
  bool won;
#ifdef FORCE_FIRST
  barrier();
  thieves++;
#else
  thieves++;
#ifndef NO_FORCE
  barrier();
#endif
#endif
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
  od;
  thieves--
}
