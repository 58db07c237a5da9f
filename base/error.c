// Filling and prefixing of error values; see error.h.
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool set(struct error *error, enum exit_code code, const char *format, va_list arguments) {
  if (error->code != EXIT_DONE) return false;
  error->code = code;
  vsnprintf(error->text, sizeof error->text, format, arguments);
  return false;
}

bool error_set(struct error *error, enum exit_code code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  set(error, code, format, arguments);
  va_end(arguments);
  return false;
}

bool error_set_errno(struct error *error, enum exit_code code, const char *format, ...) {
  int number = errno;
  bool fresh = error->code == EXIT_DONE;
  va_list arguments;
  va_start(arguments, format);
  set(error, code, format, arguments);
  va_end(arguments);
  if (fresh) {
    size_t used = strlen(error->text);
    snprintf(error->text + used, sizeof error->text - used, ": %s", strerror(number));
  }
  return false;
}

bool error_context(struct error *error, const char *format, ...) {
  if (error->code == EXIT_DONE) return false;
  char old[sizeof error->text];
  memcpy(old, error->text, sizeof old);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->text, sizeof error->text, format, arguments);
  va_end(arguments);
  size_t used = strlen(error->text);
  snprintf(error->text + used, sizeof error->text - used, ": %s", old);
  return false;
}
