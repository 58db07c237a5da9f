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

static const char *const kind_names[] = {"",         "start",   "step",   "eval",  "checkpoint", "done",
                                         "diverged", "stopped", "failed", "layer", "metrics"};

const char *event_kind_name(enum event_kind kind) { return kind_names[kind]; }

static enum event_kind kind_of(const char *name) {
  for (int i = EVENT_START; name && i <= EVENT_METRICS; i++)
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

static bool handle_line(char *line, size_t length, const struct events_reader *end,
                        const struct events_handler *handler, struct events_damage *damage, struct error *error) {
  while (length && (line[length - 1] == '\r' || line[length - 1] == ' ')) length--;
  // A trainer that opens its log as UTF-8 "with signature" begins with a byte order mark.
  if (end->lines == 1 && length >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) line += 3, length -= 3;
  if (length == 0) return true;
  // One key twice is no event: which of the two was meant?
  json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
  if (!object && replace_not_numbers(line, length)) object = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
  bool fine = true;
  if (json_is_object(object)) {
    struct event event = {kind_of(json_string_value(json_object_get(object, "event"))), object, end->offset,
                          end->lines};
    fine = handler->event(handler->context, &event, error);
  } else {
    if (damage->lines++ == 0) damage->first = end->lines;
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

// Errors that are the log's own, not the machine's: another log can be read.
static bool unreadable(const char *path, struct error *error) {
  bool machine = errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == EIO;
  return error_set_errno(error, machine ? EXIT_ENVIRONMENT : EXIT_RUNS_FAILED, "cannot read the event log %s", path);
}

// The log, open; -1 without an error when there is none.
static int open_log(const char *path, int flags, struct stat *status, struct error *error) {
  if (stat(path, status) == 0 && !S_ISREG(status->st_mode)) {
    error_set(error, EXIT_RUNS_FAILED,
              "%s is no file: an event log is needed there. Remove it and call `isoloss run` with --retry-failed",
              path);
    return -1;
  }
  // A pipe that is put there now would wait. A log that lies elsewhere is read there, but never cut.
  bool writes = (flags & O_ACCMODE) != O_RDONLY;
  int file = open(path, flags | O_NONBLOCK | O_CLOEXEC | (writes ? O_NOFOLLOW : 0));
  if (file < 0 && errno == ELOOP && writes) {
    error_set(error, EXIT_RUNS_FAILED, FILE_IS_A_LINK, path);
    return -1;
  }
  if (file < 0) {
    if (errno != ENOENT) unreadable(path, error);
    return -1;
  }
  if (fstat(file, status) == 0) return file;
  unreadable(path, error);
  close(file);
  return -1;
}

int64_t events_check(const char *path, int64_t offset) {
  int64_t check = -1;
  struct stat status;
  struct error ignored = {0};
  int file = open_log(path, O_RDONLY, &status, &ignored);
  if (file < 0) return -1;
  if (!check_at(file, offset, &check)) check = -1;
  close(file);
  return check;
}

// Reads on from `at`, line by line; it ends behind the last whole line. The file had `size` bytes when it was opened.
static bool read_lines(int file, int64_t size, const char *path, struct events_reader *at,
                       const struct events_handler *handler, struct events_damage *damage, struct error *error) {
  struct text pending = {0};
  bool fine = true;
  int64_t from = at->offset, new = size - from + 1;  // one more: the end is met without another read
  size_t room = (size_t)(new < BLOCK ? new : BLOCK);
  char *block = memory_grow(NULL, room);
  while (fine) {
    ssize_t got = pread(file, block, room, from);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fine = unreadable(path, error);
    if (got <= 0) break;
    from += got;
    text_append(&pending, block, (size_t)got);
    if (!memchr(block, '\n', (size_t)got)) {
      if (pending.length <= LONGEST_LINE) continue;
      fine = error_set(error, EXIT_RUNS_FAILED,
                       "%s: line %lld is longer than 64 MiB: not an event log. Remove it and call `isoloss run` with "
                       "--retry-failed",
                       path, (long long)at->lines + 1);
      break;
    }
    size_t start = 0;
    char *end;
    while (fine && (end = memchr(pending.bytes + start, '\n', pending.length - start))) {
      size_t length = (size_t)(end - (pending.bytes + start));
      at->offset += (int64_t)length + 1;
      at->lines++;
      fine = handle_line(pending.bytes + start, length, at, handler, damage, error);
      start += length + 1;
    }
    memmove(pending.bytes, pending.bytes + start, pending.length - start);
    pending.length -= start;
  }
  free(block);
  text_free(&pending);
  return fine;
}

bool events_read(struct events_reader *reader, const char *path, const struct events_handler *handler,
                 struct events_damage *damage, struct error *error) {
  struct events_damage passed = {0};
  struct events_reader at = *reader;
  struct stat status = {0};
  int file = open_log(path, O_RDONLY, &status, error);
  if (error->code) return false;
  int64_t check = 0;
  bool fine = true;
  if (at.offset > 0 && (status.st_size < at.offset || !check_at(file, at.offset, &check) || check != reader->check)) {
    at = (struct events_reader){0};
    fine = handler->restart(handler->context, error);
  }
  if (fine && file >= 0 && status.st_size > at.offset)
    fine = read_lines(file, status.st_size, path, &at, handler, &passed, error);
  if (fine || error->code == EXIT_RUNS_FAILED) {
    // The worker may cut the log while we read: then the hash cannot be taken, and the next read begins anew.
    at.check = 0;
    if (at.offset > 0 && !check_at(file, at.offset, &at.check)) at.check = 0;
    *reader = at;
    if (damage && damage->lines == 0) damage->first = passed.first;
    if (damage) damage->lines += passed.lines;
  }
  if (file >= 0) close(file);
  return fine;
}

void events_damage_say(struct text *out, double lines, double first) {
  if (!(lines > 0)) return;
  text_format(out, "%.0f line%s of the log %s no event%s and %s passed over, the first is line %.0f", lines,
              lines == 1 ? "" : "s", lines == 1 ? "is" : "are", lines == 1 ? "" : "s", lines == 1 ? "was" : "were",
              first);
}

// Whether the log's last bytes [from, size) are an event without its line's end.
static bool lacks_only_its_end(int file, const char *path, int64_t from, int64_t size) {
  size_t length = (size_t)(size - from);
  struct error ignored = {0};
  if (length < 2 || length > BLOCK) return false;
  char *line = memory_get(length);
  json_t *object = NULL;
  if (file_read_at(file, path, line, length, from, &ignored)) {
    object = json_loadb(line, length, 0, NULL);
    if (!object && replace_not_numbers(line, length)) object = json_loadb(line, length, 0, NULL);
  }
  bool whole = json_is_object(object);
  json_decref(object);
  free(line);
  return whole;
}

bool events_mend(const char *path, struct events_reader *end, struct error *error) {
  struct stat status;
  if (end) *end = (struct events_reader){0};
  int file = open_log(path, O_RDWR, &status, error);
  if (file < 0) return !error->code;
  char *block = memory_get(BLOCK);
  int64_t size = status.st_size, keep = 0;
  bool fine = true;
  for (int64_t to = size; fine && to > 0 && keep == 0;) {
    int64_t from = to > BLOCK ? to - BLOCK : 0;
    if (!(fine = file_read_at(file, path, block, (size_t)(to - from), from, error))) break;
    const char *newline = memrchr(block, '\n', (size_t)(to - from));
    if (newline) keep = from + (newline - block) + 1;
    to = from;
  }
  free(block);
  if (fine && keep < size && lacks_only_its_end(file, path, keep, size)) {
    if (pwrite(file, "\n", 1, size) == 1)
      keep = size = size + 1;
    else
      fine = error_set_errno(error, EXIT_ENVIRONMENT, "cannot end the last line of %s", path);
  }
  fine = fine && (keep == size || ftruncate(file, keep) == 0 ||
                  error_set_errno(error, EXIT_ENVIRONMENT, "cannot cut a torn line off %s", path));
  if (fine && end && check_at(file, keep, &end->check)) end->offset = keep;
  close(file);
  return fine;
}
