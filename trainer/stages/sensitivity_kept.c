// See sensitivity_kept.h.
#include "trainer/stages/sensitivity_kept.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/terminal.h"
#include "trainer/layout.h"

enum { POLL_MILLISECONDS = 50 };

struct kept_header {
  char magic[8];
  uint64_t count;              // matrices
  char digest[DIGEST_LENGTH];  // of the numbers
};
static const char kept_magic[8] = {'i', 's', 'o', 's', 'e', 'n', 's', '1'};

// Everything that the numbers depend on: the parent's weights and what its model does to activations, the tokens, the
// noise, and what computes.
static struct digest key_of(struct stage_work *work, const struct model_values *values) {
  struct training *t = &work->run;
  const struct run_config *c = &t->file.config;
  struct digest weights = digest_bytes(values->values, (size_t)values->table.count * sizeof *values->values);
  struct text text = {0};
  text_format(&text, "sensitivities %d\n%s\n%s\n%s\n%" PRId64 "\n", config_version(c), weights.hex,
              work->parent_format ? work->parent_format : "none", t->file.corpus_digest, work->parent.step);
  text_format(&text, "%s %" PRId64 " %.17g %" PRId64 " %" PRId64 "\n", c->compress.allocate.alpha,
              c->compress.allocate.noises, c->compress.allocate.largest_noise, c->compress.allocate.tokens, c->seed);
  text_format(&text,
              "%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %.17g %.17g %s\n",
              c->model.layers, c->model.width, c->model.heads, c->model.kv_heads, c->model.head_dim, c->model.mlp_width,
              c->model.context, c->model.rope_theta, c->model.norm_eps, c->model.dtype);
  text_format(&text, "%" PRId64 "\n%s\n", c->train.threads, t->ops->name);
  t->ops->describe(t->device, &text);
  struct digest key = digest_bytes(text.bytes, text.length);
  text_free(&text);
  return key;
}

// Whether the file holds so many; what is damaged or another version's is none.
static bool read_kept(const char *path, struct sensitivity *out, size_t count) {
  struct arena arena = {0};
  struct error unread = {0};
  struct kept_header header;
  size_t length, bytes = count * sizeof *out;
  const char *kept = file_exists(path) ? file_read(&arena, path, &length, &unread) : NULL;
  bool fine = kept && length == sizeof header + bytes;
  if (fine) {
    memcpy(&header, kept, sizeof header);
    struct digest digest = digest_bytes(kept + sizeof header, bytes);
    fine = memcmp(header.magic, kept_magic, sizeof kept_magic) == 0 && header.count == count &&
           memcmp(header.digest, digest.hex, DIGEST_LENGTH) == 0;
  }
  if (fine) memcpy(out, kept + sizeof header, bytes);
  if (kept && !fine) notice_print("isoloss-train", "%s is damaged: measured anew", path);
  arena_free(&arena);
  return fine;
}

static bool write_kept(const char *path, const struct sensitivity *found, size_t count, struct error *error) {
  struct kept_header header = {.count = count};
  struct digest digest = digest_bytes(found, count * sizeof *found);
  struct text text = {0};
  memcpy(header.magic, kept_magic, sizeof kept_magic);
  memcpy(header.digest, digest.hex, DIGEST_LENGTH);
  text_append(&text, (const char *)&header, sizeof header);
  text_append(&text, (const char *)found, count * sizeof *found);
  bool fine = file_write_atomic(path, text.bytes, text.length, error);
  text_free(&text);
  return fine;
}

// The lock on what is kept, -1 where it is there already (then *read), where it was asked to stop, or on an error.
static int wait_for_lock(struct stage_work *work, const char *path, const char *lock_path, struct sensitivity *out,
                         size_t count, bool *read, struct error *error) {
  while (!(*read = read_kept(path, out, count))) {
    bool busy = false;
    int lock = file_lock(lock_path, &busy, error);
    if (lock >= 0 || !busy) return lock;
    work->stopped = work->stop_asked && *work->stop_asked;
    if (work->stopped) return -1;
    nanosleep(&(struct timespec){.tv_nsec = POLL_MILLISECONDS * 1000000L}, NULL);
  }
  return -1;
}

bool kept_sensitivities(struct stage_work *work, const struct model_values *values, struct sensitivity *out,
                        struct error *error) {
  struct training *t = &work->run;
  const struct digest key = key_of(work, values);
  const size_t count = (size_t)(t->file.config.model.layers * MATRIX_HEAD);
  const char *folder = arena_format(&t->arena, "%s/../%s/sensitivities", t->run_folder, t->file.parent);
  bool read = false;
  if (!folder_make(folder, error)) return false;
  const char *path = arena_format(&t->arena, "%s/%.*s", folder, DIGEST_LENGTH, key.hex);
  const char *lock_path = arena_format(&t->arena, "%s.lock", path);
  int lock = wait_for_lock(work, path, lock_path, out, count, &read, error);
  if (read) return true;
  if (lock < 0) return false;
  // Whoever held it before may have written it.
  bool fine = read_kept(path, out, count);
  if (!fine) fine = measure_sensitivities(work, values, out, error) && write_kept(path, out, count, error);
  close(lock);
  return fine;
}
