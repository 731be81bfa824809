// Edges H1 and H2 of runtime/scope.cpp: who joins a handle is woken once, or stopped, and sees the result; the task is
// deleted once, after its end, its handle and the mail of a cancel have gone.
//
// One task ends (publish_end); one joins it (wait_for_end), may be cancelled meanwhile (forget), and drops the handle; a
// third cancels the task through the handle (ask_to_cancel), by a mail. Mutations that must be found:
//   -DPUBLISH_EARLY  the mark is set before the result
//   -DBLIND_END      publish_end marks without looking who waits
//   -DFORGET_ALWAYS  a join is given up while it is woken
//   -DNO_MAIL_MARK   the mail is not counted
//   -DMAIL_KEEPS     the mail does not look whether it is the last
//   -DDROP_KEEPS     the handle does not look whether it is the last
//   -DEND_DELETES    the end does not look whether there is mail

// spawned::life_, one word: all that is read and written of it in one step is in one atomic block
bool waiter = false;
bool ended = false;
bool dropped = false;
bool mail_out = false;

bool result = false;
bool deleted = false;
byte woken = 0;
byte stopped = 0;
bool cancel_asked = false;
byte gone = 0;                                    // processes that have done all they do

inline delete_task() { atomic { assert(!deleted); deleted = true } }
inline used() { assert(!deleted) }

active proctype ending() {
  bool waits;
  bool last;
#ifndef PUBLISH_EARLY
  result = true;
#endif
  atomic {
    used();
    waits = waiter;
#ifdef END_DELETES
    last = dropped;
#else
    last = dropped && !mail_out;
#endif
    ended = true
  }
#ifdef PUBLISH_EARLY
  result = true;
#endif
#ifndef BLIND_END
  if
  :: waits -> woken++
  :: else
  fi;
#endif
  if
  :: last -> delete_task()
  :: else
  fi;
  gone++
}

active proctype joining() {
  bool already;
  bool last;
  if
  :: true ->
       atomic { used(); already = ended; waiter = !ended }  // wait_for_end
       if
       :: already -> assert(result)
       :: else ->
            if
            :: true ->                            // cancelled while it waits: forget
                 atomic {
                   used();
                   if
#ifdef FORGET_ALWAYS
                   :: true -> waiter = false; stopped++
#else
                   :: !ended -> waiter = false; stopped++
                   :: else
#endif
                   fi
                 }
            :: true
            fi;
            (woken + stopped > 0);                // resumed
            assert(woken + stopped == 1);
            assert(stopped == 1 || result)
       fi
  :: true                                         // nobody joins
  fi;
  (cancel_asked);                                 // one thread after the other uses the handle
  atomic { used(); last = ended && !mail_out }    // drop_handle
  if
  :: !last ->
       atomic { used(); last = ended && !mail_out; dropped = true }
  :: else
  fi;
#ifndef DROP_KEEPS
  if
  :: last -> delete_task()
  :: else
  fi;
#endif
  (gone == 2);
  assert(deleted);
  assert(woken + stopped <= 1)
}

active proctype cancelling() {
  bool last;
  bool posted = false;
  used();
  if
  :: !ended ->
       if
       :: true ->                                 // it waits on another core
#ifndef NO_MAIL_MARK
            atomic { used(); mail_out = true }
#endif
            posted = true
       :: true                                    // it does not wait
       fi
  :: else
  fi;
  cancel_asked = true;
  if
  :: posted ->                                    // cancel_by_mail
       used();                                    // carry_out_cancel
       atomic {
         used();
         last = ended && dropped;
#ifndef NO_MAIL_MARK
         mail_out = false
#else
         last = false
#endif
       }
#ifndef MAIL_KEEPS
       if
       :: last -> delete_task()
       :: else
       fi
#endif
  :: else
  fi;
  gone++
}
