// Filling and prefixing of error values; see error.h.
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static bool set(struct error *error, enum exit_code code, const char *format, va_list arguments) {
  if (error->code != EXIT_DONE) return false;
  error->code = code;
  error->hint[0] = '\0';
  error->hint_at = 0;
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

bool error_hint(struct error *error, const char *nearest, const char *otherwise) {
  if (error->hint[0]) return false;
  if (!nearest) return error_add(error, "%s", otherwise ? otherwise : "");
  error->hint_at = strlen(error->text);
  did_you_mean(nearest, error->hint);
  return error_add(error, "; %s", error->hint);
}

bool error_add(struct error *error, const char *format, ...) {
  size_t used = strlen(error->text);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->text + used, sizeof error->text - used, format, arguments);
  va_end(arguments);
  return false;
}

int error_length(const struct error *error) { return (int)(error->hint[0] ? error->hint_at : strlen(error->text)); }

static void prefix(struct error *error, const char *joint, const char *format, va_list arguments) {
  if (error->code == EXIT_DONE) return;
  char old[sizeof error->text];
  memcpy(old, error->text, sizeof old);
  vsnprintf(error->text, sizeof error->text, format, arguments);
  error_add(error, "%s", joint);
  error->hint_at += strlen(error->text);
  error_add(error, "%s", old);
}

bool error_subject(struct error *error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  prefix(error, " ", format, arguments);
  va_end(arguments);
  return false;
}

bool error_context(struct error *error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  prefix(error, ": ", format, arguments);
  va_end(arguments);
  return false;
}
