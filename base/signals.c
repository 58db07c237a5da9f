// See signals.h.
#include "base/signals.h"

#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

bool signal_is_ignored(int signal) {
  struct sigaction now;
  return sigaction(signal, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_IGN;
}

void signal_handle(int signal, const struct sigaction *action) {
  if (!signal_is_ignored(signal)) sigaction(signal, action, NULL);
}

void signal_watch_begin(struct signal_watch *watch, int further) {
  static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
  sigemptyset(&watch->watched);
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) sigaddset(&watch->watched, ends[i]);
  if (further) sigaddset(&watch->watched, further);
  sigprocmask(SIG_BLOCK, &watch->watched, &watch->before);
  watch->descriptor = signalfd(-1, &watch->watched, SFD_CLOEXEC);
}

void signal_watch_end(struct signal_watch *watch) {
  const struct timespec none = {0};
  while (sigtimedwait(&watch->watched, NULL, &none) > 0) continue;
  if (watch->descriptor >= 0) close(watch->descriptor);
  sigprocmask(SIG_SETMASK, &watch->before, NULL);
}
