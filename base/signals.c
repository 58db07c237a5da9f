// See signals.h.
#include "base/signals.h"

bool signal_is_ignored(int signal) {
  struct sigaction now;
  return sigaction(signal, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_IGN;
}

void signal_handle(int signal, const struct sigaction *action) {
  if (!signal_is_ignored(signal)) sigaction(signal, action, NULL);
}
