// Signals as whoever started the program left them: one that is ignored (nohup, a background job of a script) stays so.
#pragma once
#include <signal.h>
#include <stdbool.h>

bool signal_is_ignored(int signal);
// sigaction, but for signals that are ignored.
void signal_handle(int signal, const struct sigaction *action);
