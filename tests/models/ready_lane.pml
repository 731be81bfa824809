// Edges Q4 and Q5 of runtime/detail/ready_lane.hpp: each root that was pushed comes out once.
//
// One owner, who pushes and pops as it likes, against thieves who take half, in a lane of two slots, which are filled again.
// The end looks whether all roots have come out. Mutations that must be found:
//   -DPLAIN_POP      pop moves head without looking whether a thief has
//   -DREAD_LATE      a thief reads the slots after it has moved head
//   -DNO_LIMIT       push does not look whether the slot is free
//   -DWRAP           indices begin anew with the slots, so that an old one can be met again
//   -DPUBLISH_EARLY  push moves tail before it fills the slot

#define CAPACITY 2
#define ROOTS 5
#define THIEVES 2

#ifdef WRAP
#define OF(i) ((i) % (2 * CAPACITY))
#else
#define OF(i) (i)
#endif
#define SIZE(h, t) OF(t - h + 2 * CAPACITY * WRAPS)
#ifdef WRAP
#define WRAPS 1
#else
#define WRAPS 0
#endif

short head = 0;
short tail = 0;
byte slots[CAPACITY];
byte taken[ROOTS];

inline take(r) { atomic { taken[r]++; assert(taken[r] == 1) } }

active proctype owner() {
  byte pushed = 0;
  short h;
  byte r;
  bool won;
  do
  :: pushed < ROOTS ->                            // push
       h = head;
#ifndef NO_LIMIT
       if
       :: SIZE(h, tail) < CAPACITY ->
#endif
#ifdef PUBLISH_EARLY
            tail = OF(tail + 1);
            slots[(tail - 1) % CAPACITY] = pushed;
#else
            slots[tail % CAPACITY] = pushed;
            tail = OF(tail + 1);
#endif
            pushed++
#ifndef NO_LIMIT
       :: else
       fi
#endif
  :: head != tail ->                              // pop
       h = head;
       if
       :: h != tail ->
            r = slots[h % CAPACITY];
#ifdef PLAIN_POP
            won = true;
            head = OF(h + 1);
#else
            atomic { won = (head == h); head = (won -> OF(h + 1) : head) }
#endif
            if
            :: won -> take(r)
            :: else
            fi
       :: else
       fi
  :: pushed == ROOTS && head == tail -> break
  od;
  (_nr_pr == 1);                                  // the thieves have ended
  for (r : 0 .. ROOTS - 1) { assert(taken[r] == 1) }
}

active [THIEVES] proctype thief() {
  byte tries = 0;
  short h;
  short t;
  byte n;
  byte some[CAPACITY];
  byte i;
  bool won;
  do
  :: tries < 2 ->
       tries++;
       h = head;
       t = tail;
       n = 0;
       if
       :: SIZE(h, t) > 0 && SIZE(h, t) <= CAPACITY -> n = (SIZE(h, t) + 1) / 2
       :: else                                    // what was read is not of one moment
       fi;
       if
       :: n > 0 ->
#ifndef READ_LATE
            i = 0;
            do
            :: i < n -> some[i] = slots[(h + i) % CAPACITY]; i++
            :: else -> break
            od;
#endif
            atomic { won = (head == h); head = (won -> OF(h + n) : head) }
            if
            :: won ->
                 i = 0;
                 do
                 :: i < n ->
#ifdef READ_LATE
                      some[i] = slots[(h + i) % CAPACITY];
#endif
                      take(some[i]);
                      i++
                 :: else -> break
                 od
            :: else
            fi
       :: else
       fi
  :: break
  od
}
