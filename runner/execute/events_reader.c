// See events_reader.h.
#include "runner/execute/events_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 1 << 18, CHECKED = 256, LONGEST_LINE = 1 << 26 };

// "a.b" is b of object a.
static const json_t *find(const json_t *object, const char *key) {
  const char *dot = strchr(key, '.');
  return dot ? json_object_get(json_object_getn(object, key, (size_t)(dot - key)), dot + 1)
             : json_object_get(object, key);
}

double event_number(const struct event *event, const char *key) {
  const json_t *value = find(event->object, key);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

const char *event_text(const struct event *event, const char *key) {
  return json_string_value(find(event->object, key));
}

static const char *const kind_names[] = {"",     "start",    "step",    "eval",  "checkpoint",
                                         "done", "diverged", "stopped", "failed"};

const char *event_kind_name(enum event_kind kind) { return kind_names[kind]; }

static enum event_kind kind_of(const char *name) {
  for (int i = EVENT_START; name && i <= EVENT_FAILED; i++)
    if (strcmp(name, kind_names[i]) == 0) return (enum event_kind)i;
  return EVENT_OTHER;
}

// Some programs (Python's json among them) write NaN and Infinity, which JSON does not have: they become null, with the
// line's length kept.
static bool replace_not_numbers(char *line, size_t length) {
  static const char *const words[] = {"-Infinity", "Infinity", "NaN"};
  bool in_text = false, found = false;
  for (size_t i = 0; i < length; i++) {
    if (line[i] == '"') in_text = !in_text;
    if (in_text) {
      if (line[i] == '\\') i++;
      continue;
    }
    for (int w = 0; w < 3; w++) {
      size_t size = strlen(words[w]);
      if (size > length - i || memcmp(line + i, words[w], size) != 0) continue;
      // "NaN" has no room for "null": an empty object is no number either.
      memset(line + i, ' ', size);
      memcpy(line + i, size >= 4 ? "null" : "{}", size >= 4 ? 4 : 2);
      found = true;
      i += size - 1;
      break;
    }
  }
  return found;
}

static bool handle_line(char *line, size_t length, int64_t end, const struct events_handler *handler, int *damaged,
                        struct error *error) {
  while (length && (line[length - 1] == '\r' || line[length - 1] == ' ')) length--;
  if (length == 0) return true;
  json_t *object = json_loadb(line, length, 0, NULL);
  if (!object && replace_not_numbers(line, length)) object = json_loadb(line, length, 0, NULL);
  bool fine = true;
  if (json_is_object(object)) {
    struct event event = {kind_of(json_string_value(json_object_get(object, "event"))), object, end};
    fine = handler->event(handler->context, &event, error);
  } else {
    (*damaged)++;
  }
  json_decref(object);
  return fine;
}

// Hash of the up to CHECKED bytes before `offset`.
static bool check_at(int file, int64_t offset, int64_t *check) {
  char bytes[CHECKED];
  size_t length = offset < CHECKED ? (size_t)offset : CHECKED;
  *check = 0;
  if (length == 0) return true;
  if (pread(file, bytes, length, offset - (int64_t)length) != (ssize_t)length) return false;
  *check = (int64_t)(hash64(bytes, length, 0) >> 11);
  return true;
}

int64_t events_check(const char *path, int64_t offset) {
  int64_t check = -1;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  if (!check_at(file, offset, &check)) check = -1;
  close(file);
  return check;
}

// Reads on from `offset`, line by line; *offset ends behind the last whole line.
static bool read_lines(int file, const char *path, int64_t *offset, const struct events_handler *handler, int *damaged,
                       struct error *error) {
  struct text pending = {0};
  bool fine = true;
  char *block = memory_get(BLOCK);
  int64_t at = *offset;
  while (fine) {
    ssize_t got = pread(file, block, BLOCK, at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fine = error_set_errno(error, EXIT_ENVIRONMENT, "cannot read %s", path);
    if (got <= 0) break;
    at += got;
    text_append(&pending, block, (size_t)got);
    if (!memchr(block, '\n', (size_t)got)) {
      if (pending.length <= LONGEST_LINE) continue;
      fine = error_set(error, EXIT_ENVIRONMENT, "%s: a line of more than 64 MiB: not an event log", path);
      break;
    }
    size_t start = 0;
    char *end;
    while (fine && (end = memchr(pending.bytes + start, '\n', pending.length - start))) {
      size_t length = (size_t)(end - (pending.bytes + start));
      *offset += (int64_t)length + 1;
      fine = handle_line(pending.bytes + start, length, *offset, handler, damaged, error);
      start += length + 1;
    }
    memmove(pending.bytes, pending.bytes + start, pending.length - start);
    pending.length -= start;
  }
  free(block);
  text_free(&pending);
  return fine;
}

bool events_read(struct events_reader *reader, const char *path, const struct events_handler *handler, int *damaged,
                 struct error *error) {
  int skipped = 0;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0 && errno != ENOENT) return error_set_errno(error, EXIT_ENVIRONMENT, "cannot read %s", path);
  bool fine = true;
  struct stat status = {0};
  if (file >= 0 && fstat(file, &status) != 0) fine = error_set_errno(error, EXIT_ENVIRONMENT, "cannot read %s", path);
  int64_t offset = reader->offset, check = 0;
  if (fine && offset > 0) {
    if (status.st_size < offset || !check_at(file, offset, &check) || check != reader->check) {
      offset = 0;
      fine = handler->restart(handler->context, error);
    }
  }
  if (fine && file >= 0 && status.st_size > offset) fine = read_lines(file, path, &offset, handler, &skipped, error);
  // The worker may cut the log while we read: then the hash cannot be taken, and the next read begins anew.
  if (fine) {
    if (offset > 0 && !check_at(file, offset, &check)) check = 0;
    if (offset == 0) check = 0;
    *reader = (struct events_reader){offset, check};
  }
  if (file >= 0) close(file);
  if (damaged) *damaged = skipped;
  return fine;
}

bool events_mend(const char *path, struct events_reader *end, struct error *error) {
  int file = open(path, O_RDWR | O_CLOEXEC);
  if (end) *end = (struct events_reader){0};
  if (file < 0) return errno == ENOENT || error_set_errno(error, EXIT_ENVIRONMENT, "cannot open %s", path);
  int64_t size = lseek(file, 0, SEEK_END), keep = size;
  char byte;
  while (keep > 0 && pread(file, &byte, 1, keep - 1) == 1 && byte != '\n') keep--;
  bool fine = keep == size || ftruncate(file, keep) == 0 ||
              error_set_errno(error, EXIT_ENVIRONMENT, "cannot cut a torn line off %s", path);
  if (fine && end && check_at(file, keep, &end->check)) end->offset = keep;
  close(file);
  return fine;
}
