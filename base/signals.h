// Signals as whoever started the program left them: one that is ignored (nohup, a background job of a script) stays so.
#pragma once
#include <signal.h>
#include <stdbool.h>

bool signal_is_ignored(int signal);
// sigaction, but for signals that are ignored.
void signal_handle(int signal, const struct sigaction *action);

// Signals that ask to end (INT, TERM, HUP), to be waited for at a descriptor (signalfd) in place of ending us.
struct signal_watch {
  int descriptor;
  sigset_t watched, before;
};
// Threads that are started later leave them to it too. `further`: one more signal that is wanted; 0: none.
void signal_watch_begin(struct signal_watch *watch, int further);
// As it was before. Signals that came meanwhile were for this and are taken.
void signal_watch_end(struct signal_watch *watch);
