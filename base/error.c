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
  error->hint_at = error->place = 0;
  error->offset = 0;
  memset(error->about, 0, sizeof error->about);
  vsnprintf(error->text, sizeof error->text, format, arguments);
  return false;
}

void error_clear(struct error *error) { error_take(error, &(struct error){0}); }

void error_take(struct error *error, const struct error *other) {
  struct diagnostics *told = error->told;
  *error = *other;
  error->told = told;
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

bool error_at(struct error *error, enum exit_code code, const char *source, int offset, const char *format, ...) {
  if (error->code != EXIT_DONE) return false;
  int line = 1, start = 0;
  for (int i = 0; i < offset; i++) {
    if (source[i] != '\n') continue;
    line++;
    start = i + 1;
  }
  int column = 1 + text_characters(source + start, (size_t)(offset - start));
  if (strchr(source, '\n'))
    error_set(error, code, "line %d, column %d: ", line, column);
  else
    error_set(error, code, "column %d: ", column);
  error->place = strlen(error->text);
  error->offset = offset;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->text + error->place, sizeof error->text - error->place, format, arguments);
  va_end(arguments);
  return false;
}

bool error_about(struct error *error, ...) {
  if (error->about[0]) return false;
  va_list arguments;
  va_start(arguments, error);
  const char *path = va_arg(arguments, const char *);
  for (size_t i = 0; path && i < sizeof error->about / sizeof *error->about; i++) {
    error->about[i] = path;
    path = va_arg(arguments, const char *);
  }
  va_end(arguments);
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
  error->place = 0;  // what opens the text now is not the place
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
