// See kept.h.
#include "trainer/stages/kept.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/terminal.h"

enum { POLL_MILLISECONDS = 50 };

struct kept_header {
  char magic[8];
  uint64_t count;
  char digest[DIGEST_LENGTH];  // of the numbers
};

void kept_key_of_model(struct stage_work *work, const struct model_values *values, struct text *text) {
  struct training *t = &work->run;
  const struct run_config *c = &t->file.config;
  struct digest weights = digest_bytes(values->values, (size_t)values->table.count * sizeof *values->values);
  text_format(text, "%s\n%s\n%s\n%" PRId64 "\n", weights.hex, work->parent_format ? work->parent_format : "none",
              t->file.corpus_digest, work->parent.step);
  text_format(text,
              "%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %.17g %.17g %s\n",
              c->model.layers, c->model.width, c->model.heads, c->model.kv_heads, c->model.head_dim, c->model.mlp_width,
              c->model.context, c->model.rope_theta, c->model.norm_eps, c->model.dtype);
  text_format(text, "%" PRId64 "\n%s\n", c->train.threads, t->ops->name);
  t->ops->describe(t->device, text);
}

// Whether the file holds so many; what is damaged or another version's is none.
static bool read_kept(const char *path, const struct kept_numbers *kept) {
  struct arena arena = {0};
  struct error unread = {0};
  struct kept_header header;
  size_t length;
  const char *found = file_exists(path) ? file_read(&arena, path, &length, &unread) : NULL;
  bool fine = found && length == sizeof header + kept->size;
  if (fine) {
    memcpy(&header, found, sizeof header);
    struct digest digest = digest_bytes(found + sizeof header, kept->size);
    fine = memcmp(header.magic, kept->magic, sizeof header.magic) == 0 && header.count == kept->count &&
           memcmp(header.digest, digest.hex, DIGEST_LENGTH) == 0;
  }
  if (fine) memcpy(kept->bytes, found + sizeof header, kept->size);
  if (found && !fine) notice_print("isoloss-train", "%s is damaged: measured anew", path);
  arena_free(&arena);
  return fine;
}

static bool write_kept(const char *path, const struct kept_numbers *kept, struct error *error) {
  struct kept_header header = {.count = kept->count};
  struct digest digest = digest_bytes(kept->bytes, kept->size);
  struct text text = {0};
  memcpy(header.magic, kept->magic, sizeof header.magic);
  memcpy(header.digest, digest.hex, DIGEST_LENGTH);
  text_append(&text, (const char *)&header, sizeof header);
  text_append(&text, kept->bytes, kept->size);
  bool fine = file_write_atomic(path, text.bytes, text.length, error);
  text_free(&text);
  return fine;
}

// The lock on what is kept, -1 where it is there already (then *read), where it was asked to stop, or on an error.
static int wait_for_lock(struct stage_work *work, const char *path, const char *lock_path,
                         const struct kept_numbers *kept, bool *read, struct error *error) {
  while (!(*read = read_kept(path, kept))) {
    bool busy = false;
    int lock = file_lock(lock_path, &busy, error);
    if (lock >= 0 || !busy) return lock;
    work->stopped = work->stop_asked && *work->stop_asked;
    if (work->stopped) return -1;
    nanosleep(&(struct timespec){.tv_nsec = POLL_MILLISECONDS * 1000000L}, NULL);
  }
  return -1;
}

bool kept_get(struct stage_work *work, const struct kept_numbers *kept, struct error *error) {
  struct training *t = &work->run;
  const char *folder = arena_format(&t->arena, "%s/../%s/%s", t->run_folder, t->file.parent, kept->folder);
  bool read = false;
  if (!folder_make(folder, error)) return false;
  const char *path = arena_format(&t->arena, "%s/%.*s", folder, DIGEST_LENGTH, kept->key.hex);
  const char *lock_path = arena_format(&t->arena, "%s.lock", path);
  int lock = wait_for_lock(work, path, lock_path, kept, &read, error);
  if (read) return true;
  if (lock < 0) return false;
  // Whoever held it before may have written it.
  bool fine = read_kept(path, kept);
  if (!fine) fine = kept->make(kept->context, error) && write_kept(path, kept, error);
  close(lock);
  return fine;
}
