// Edge H2 of runtime/scope.cpp: a task that joins a handle is woken exactly once, or stopped, and sees the result.
//
// One task ends (publish_end), one waits (wait_for_end) and may be cancelled meanwhile (forget). Mutations that must be found:
//   -DPUBLISH_EARLY   the mark is set before the result
//   -DSTORE           publish_end stores the mark without looking who waits

mtype = { nobody, waiter, ended };
mtype joined = nobody;
bool result = false;
byte woken = 0;
byte stopped = 0;

active proctype ending() {
  mtype was;
#ifdef PUBLISH_EARLY
  atomic { was = joined; joined = ended }
  result = true;
#else
  result = true;
#ifdef STORE
  was = nobody;
  joined = ended;
#else
  atomic { was = joined; joined = ended }
#endif
#endif
  if
  :: was == waiter -> woken++
  :: else
  fi
}

active proctype joining() {
  bool already = false;
  atomic {
    if
    :: joined == nobody -> joined = waiter
    :: else -> already = true
    fi
  }
  if
  :: already -> assert(result)
  :: else ->
       if
       :: true ->                                  // cancelled while it waits
            atomic {
              if
              :: joined == waiter -> joined = nobody; stopped++
              :: else
              fi
            }
       :: true
       fi
       (woken + stopped > 0);                      // resumed
       assert(woken + stopped == 1);
       assert(stopped == 1 || result)
  fi
}
