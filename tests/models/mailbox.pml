// Edges N1 to N3 of runtime/detail/mailbox.hpp, and I1 for messages: each is delivered once, in order, and neither core
// sleeps on them.
//
// Each statement is one seq_cst operation of the code. One core sends to another through a ring of one place, so some messages
// wait outside. The run is wrong if it can end with a message left and both cores asleep. Mutations that must be found:
//   -DNO_LOOK_AGAIN   the receiver does not look into the mailbox between announcing and blocking
//   -DNO_WAKE         the sender does not look whether the receiver sleeps
//   -DSHOW_LATE       the sender looks whether the receiver sleeps before it shows the messages
//   -DNO_LOOK_AT_HEAD a sender that is short of room does not look at head_ again
//   -DASK_LATE        a sender that is short of room says so after that look
//   -DASK_FIRST       a sender that is short of room says so before it announces
//   -DNO_ANSWER       the receiver does not wake the sender
//   -DANSWER_FIRST    the receiver looks whether the sender is short of room before it moves head_
//   -DMOVE_FIRST      the receiver moves head_ before it has read the slots
//   -DNO_LIMIT        put does not look whether there is room

#define ROOM 1
#define MESSAGES 4
#define SENDER 0
#define RECEIVER 1

byte slots[ROOM];
byte head = 0;
byte tail = 0;
bool short_of_room = false;
byte delivered = 0;
bool sleeping[2];
bool bell[2];

inline wake_if_asleep(c) {
  if
  :: sleeping[c] ->                               // the load
       atomic { woke = sleeping[c]; sleeping[c] = false }
       if
       :: woke -> bell[c] = true
       :: else
       fi
  :: else
  fi
}

inline sleep(id) {
  if
  :: block -> (bell[id] || delivered == MESSAGES)
  :: else
  fi;
  bell[id] = false;
  sleeping[id] = false
}

inline flush() {
  do
  :: end < put ->                                 // from outside, as long as there is room
#ifndef NO_LIMIT
       if
       :: end - seen_head == ROOM -> seen_head = head
       :: else
       fi;
       if
       :: end - seen_head == ROOM -> break
       :: else
       fi;
#endif
       slots[end % ROOM] = end;
       end++
  :: else -> break
  od;
#ifdef SHOW_LATE
  wake_if_asleep(RECEIVER);
#endif
  if
  :: tail != end ->
       tail = end;                                // show
#ifndef NO_WAKE
#ifndef SHOW_LATE
       wake_if_asleep(RECEIVER)
#endif
#endif
  :: else
  fi
}

active proctype sender() {
  byte put = 0;
  byte end = 0;
  byte seen_head = 0;
  bool block, woke;
  do
  :: delivered < MESSAGES ->
       do                                         // any number of messages in a turn
       :: put < MESSAGES -> put++
       :: break
       od;
       flush();
       block = true;
#ifdef ASK_FIRST
       if
       :: end < put -> short_of_room = true
       :: else
       fi;
#endif
       sleeping[SENDER] = true;                   // announce
       if
       :: end < put ->
#ifndef ASK_LATE
#ifndef ASK_FIRST
            short_of_room = true;
#endif
#endif
#ifndef NO_LOOK_AT_HEAD
            block = (head == seen_head);
#endif
#ifdef ASK_LATE
            short_of_room = true
#endif
       :: else -> block = (put == MESSAGES)       // there are tasks that will send more
       fi;
       sleep(SENDER)
  :: else -> break
  od
}

active proctype receiver() {
  byte seen_tail, at;
  bool block, woke, asked;
  do
  :: delivered < MESSAGES ->
       seen_tail = tail;                          // take
       if
       :: seen_tail != head ->
            at = head;
#ifdef MOVE_FIRST
            head = seen_tail;
#endif
#ifdef ANSWER_FIRST
            atomic { asked = short_of_room; short_of_room = false }
#endif
            do
            :: at != seen_tail ->
                 atomic { assert(slots[at % ROOM] == at && at == delivered); delivered++ }
                 at++
            :: else -> break
            od;
            head = seen_tail;
#ifndef ANSWER_FIRST
            atomic { asked = short_of_room; short_of_room = false }
#endif
#ifndef NO_ANSWER
            if
            :: asked -> wake_if_asleep(SENDER)
            :: else
            fi
#endif
       :: else
       fi;
       sleeping[RECEIVER] = true;                 // announce
       block = true;
#ifndef NO_LOOK_AGAIN
       block = (tail == head);
#endif
       sleep(RECEIVER)
  :: else -> break
  od
}
