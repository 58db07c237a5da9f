// See events.h.
#include "trainer/events.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_TRIES = 40, LOCK_PAUSE_NANOSECONDS = 50 * 1000 * 1000, TAIL_BLOCK = 1 << 16 };

// The offset just after the last newline in the first `size` bytes.
static bool whole_lines(const struct event_log *log, int64_t size, int64_t *end, struct error *error) {
  char *block = memory_get(TAIL_BLOCK);
  bool fine = true;
  *end = 0;
  while (size > 0 && *end == 0) {
    int64_t from = size > TAIL_BLOCK ? size - TAIL_BLOCK : 0;
    if (!(fine = file_read_at(log->file, log->path, block, (size_t)(size - from), from, error))) break;
    const char *newline = memrchr(block, '\n', (size_t)(size - from));
    if (newline) *end = from + (newline - block) + 1;
    size = from;
  }
  free(block);
  return fine;
}

bool event_log_open(struct event_log *log, struct arena *arena, const char *path, struct error *error) {
  *log = (struct event_log){.file = -1, .path = arena_string(arena, path)};
  bool busy = true;
  for (int try = 0; busy && try < LOCK_TRIES; try++) {
    if (try > 0) nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_NANOSECONDS}, NULL);
    log->file = file_lock(path, &busy, error);
    if (log->file < 0 && !busy) return false;
  }
  if (busy)
    return error_set(error, EXIT_ENVIRONMENT, "%s is locked: another worker trains this run; wait for it, or stop it",
                     path);
  off_t size = lseek(log->file, 0, SEEK_END);
  int flags = fcntl(log->file, F_GETFL);
  if (size < 0 || flags < 0 || fcntl(log->file, F_SETFL, flags | O_APPEND) < 0) {
    error_set_errno(error, EXIT_ENVIRONMENT, "cannot use %s as an event log", path);
    event_log_close(log);
    return false;
  }
  int64_t end;
  if (!whole_lines(log, size, &end, error) || (end < size && !event_log_cut(log, end, error))) {
    event_log_close(log);
    return false;
  }
  log->size = end;
  return true;
}

void event_log_close(struct event_log *log) {
  if (log->file >= 0) close(log->file);
  log->file = -1;
  text_free(&log->line);
}

const char *event_log_last(const struct event_log *log, struct arena *arena, struct error *error) {
  if (log->size == 0) return "";
  int64_t start;
  if (!whole_lines(log, log->size - 1, &start, error)) return NULL;
  size_t length = (size_t)(log->size - start);
  char *line = memory_get(length + 1);
  const char *name = "";
  if (!file_read_at(log->file, log->path, line, length, start, error)) {
    name = NULL;
  } else {
    json_t *event = json_loadb(line, length, 0, NULL);
    const char *text = json_string_value(json_object_get(event, "event"));
    if (text) name = arena_string(arena, text);
    json_decref(event);
  }
  free(line);
  return name;
}

bool event_log_reaches(const struct event_log *log, int64_t size) {
  struct error ignored = {0};
  char last = '\n';
  if (size < 0 || size > log->size) return false;
  return size == 0 || (file_read_at(log->file, log->path, &last, 1, size - 1, &ignored) && last == '\n');
}

bool event_log_cut(struct event_log *log, int64_t size, struct error *error) {
  while (ftruncate(log->file, size) != 0)
    if (errno != EINTR) return error_set_errno(error, EXIT_ENVIRONMENT, "cannot cut %s", log->path);
  log->size = size;
  return true;
}

bool event_log_sync(struct event_log *log, struct error *error) {
  if (fdatasync(log->file) == 0 || errno == EINVAL) return true;
  return error_set_errno(error, EXIT_ENVIRONMENT, "cannot sync %s", log->path);
}

struct json_writer *event_begin(struct event_log *log, const char *name) {
  text_clear(&log->line);
  log->writer = json_writer(&log->line, false);
  json_object_begin(&log->writer);
  json_key_string(&log->writer, "event", name);
  return &log->writer;
}

static bool write_line(struct event_log *log, const char *line, size_t length, struct error *error) {
  ssize_t wrote;
  do wrote = write(log->file, line, length);
  while (wrote < 0 && errno == EINTR);
  if (wrote == (ssize_t)length) {
    log->size += wrote;
    return true;
  }
  // A short write is a disk that filled up in the middle of the line.
  if (wrote >= 0) errno = ENOSPC;
  error_set_errno(error, EXIT_ENVIRONMENT, "cannot write the event log %s", log->path);
  struct error ignored = {0};
  if (wrote > 0) event_log_cut(log, log->size, &ignored);
  return false;
}

bool event_end(struct event_log *log, struct error *error) {
  json_object_end(&log->writer);
  text_char(&log->line, '\n');
  return write_line(log, log->line.bytes, log->line.length, error);
}

bool event_log_copy(struct event_log *log, const struct text *lines, struct error *error) {
  const char *line = lines->bytes, *end = line + lines->length;
  for (const char *newline; line < end; line = newline + 1) {
    newline = memchr(line, '\n', (size_t)(end - line));
    if (!newline) break;
    if (!write_line(log, line, (size_t)(newline - line) + 1, error)) return false;
  }
  return true;
}
