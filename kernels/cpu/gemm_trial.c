// See gemm_trial.h. The file is a line of text and its hash.
#include "kernels/cpu/gemm_trial.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/philox.h"

#define ROUNDS 15            // of which the best counts
#define PRODUCT_SECONDS 0.1  // no further rounds after so long
#define HOPELESS 3           // times oneDNN's time in the first round: no further rounds
#define LOCK_SECONDS 60

// What layers and heads ask for: rows x outputs x inputs, the longest side first in each.
static const int64_t shapes[][3] = {{1024, 768, 256}, {1024, 1408, 256}, {1024, 256, 704}, {512, 4096, 256}};
#define SHAPES (sizeof shapes / sizeof *shapes)

static const char *const form_names[] = {"NT", "NN", "TN"};

// ---- the file ----

static void cpu_name(struct text *out) {
#if defined(__x86_64__)
  unsigned words[12] = {0};
  char name[sizeof words + 1] = "";
  for (unsigned leaf = 0; leaf < 3; leaf++)
    __get_cpuid(0x80000002 + leaf, &words[4 * leaf], &words[4 * leaf + 1], &words[4 * leaf + 2], &words[4 * leaf + 3]);
  memcpy(name, words, sizeof words);
  unsigned eax = 0, ebx, ecx, edx;
  __get_cpuid(1, &eax, &ebx, &ecx, &edx);
  text_format(out, "%s %x", name, eax);  // with family, model and stepping
#else
  text_add(out, "cpu");
#endif
}

static char *choice_path(struct arena *arena, const struct onednn *onednn, const struct bfloat16_kernel *kernel) {
  struct text name = {0};
  cpu_name(&name);
  text_add(&name, " ");
  onednn_describe(onednn, &name);
  text_format(&name, " %s.products", kernel->name);
  char *file = arena_string(arena, text_string(&name));
  for (char *c = file; *c; c++)
    if (!isalnum((unsigned char)*c) && *c != '.') *c = '-';
  text_free(&name);
  return path_join(arena, path_join(arena, isoloss_cache(arena), "cpu"), file);
}

static void choice_line(const struct gemm_choice *choice, struct text *out) {
  for (int form = 0; form < 3; form++)
    text_format(out, "%s %s ", form_names[form], choice->own[form] ? "own" : "onednn");
  text_add(out, choice->right ? "right " : "wrong ");
  text_format(out, "%016llx\n", (unsigned long long)hash64(out->bytes, out->length, 0));
}

// Of the 16 choices the one whose line the file is.
static bool choice_read(const char *path, struct gemm_choice *choice) {
  struct arena arena = {0};
  struct error ignored = {0};
  const char *text = file_exists(path) ? file_read(&arena, path, NULL, &ignored) : NULL;
  bool found = false;
  for (int bits = 0; text && !found && bits < 16; bits++) {
    *choice = (struct gemm_choice){bits & 8, {bits & 1, bits & 2, bits & 4}};
    struct text line = {0};
    choice_line(choice, &line);
    found = strcmp(text, text_string(&line)) == 0;
    text_free(&line);
  }
  arena_free(&arena);
  if (!found) *choice = (struct gemm_choice){0};
  return found;
}

// ---- the trial ----

struct contest {
  struct onednn *onednn;
  struct bfloat16 *own;
  uint16_t *a, *b, *packed_onednn, *packed_own;
  char *c_onednn, *c_own;  // of the last shape
};

static void *memory_on_lines(struct arena *arena, size_t bytes) {
  return (void *)(((uintptr_t)arena_alloc(arena, bytes + 63) + 63) / 64 * 64);
}

static double least(double a, double b) { return a < b ? a : b; }
static size_t most(size_t a, size_t b) { return a > b ? a : b; }

// Root mean square of the difference over that of the values.
static double difference(const struct contest *c, enum dtype out, int64_t count) {
  double square = 0, off = 0;
  for (int64_t i = 0; i < count; i++) {
    float x = gemm_element(out, c->c_onednn, i), y = gemm_element(out, c->c_own, i);
    square += (double)x * x;
    off += ((double)x - y) * ((double)x - y);
  }
  return sqrt(off / square);
}

static struct gemm product(enum gemm_form form, const int64_t shape[3]) {
  struct gemm gemm = {.form = form, .m = shape[0], .in = DTYPE_BFLOAT16, .out = DTYPE_BFLOAT16};
  gemm.n = form == GEMM_NT ? shape[1] : shape[2];
  gemm.k = form == GEMM_NT ? shape[2] : shape[1];
  if (form == GEMM_TN) {  // outputs x inputs, summed over rows
    gemm.m = shape[1];
    gemm.k = shape[0];
    gemm.out = DTYPE_FLOAT32;
  }
  gemm.lda = form == GEMM_TN ? gemm.m : gemm.k;
  gemm.ldb = form == GEMM_NT ? gemm.k : gemm.n;
  gemm.ldc = gemm.n;
  return gemm;
}

// Adds the times of a product to times[2], oneDNN's and ours. False where oneDNN does not take it; *right becomes false
// where the results differ.
static bool try_product(const struct contest *c, const struct gemm *gemm, double times[2], bool *right,
                        struct error *error) {
  struct gemm plain = *gemm, packed = *gemm;
  const uint16_t *b_onednn = c->b, *b_own = c->b;
  if (gemm->form != GEMM_TN) {
    packed.packed = true;
    bfloat16_pack(c->own, gemm->form, gemm->n, gemm->k, c->b, c->packed_own);
    b_own = c->packed_own;
    if (onednn_packed_bytes(c->onednn, gemm->form, gemm->n, gemm->k, DTYPE_BFLOAT16)) {
      if (!onednn_pack(c->onednn, gemm->form, gemm->n, gemm->k, DTYPE_BFLOAT16, c->b, c->packed_onednn, error))
        return false;
      b_onednn = c->packed_onednn;
      plain.packed = true;
    }
  }
  double best[2] = {INFINITY, INFINITY}, begun = clock_thread_seconds();
  for (int round = 0; round <= ROUNDS; round++) {  // the first one warms up
    double start = clock_thread_seconds();
    if (round > 1 && start - begun > PRODUCT_SECONDS) break;
    if (!onednn_run(c->onednn, &plain, c->a, b_onednn, c->c_onednn, error)) return false;
    double between = clock_thread_seconds();
    bfloat16_run(c->own, &packed, c->a, b_own, c->c_own);
    double end = clock_thread_seconds();
    bool hopeless = round == 0 && end - between > HOPELESS * (between - start);
    if (round == 0 && !hopeless) continue;
    best[0] = least(best[0], between - start);
    best[1] = least(best[1], end - between);
    if (hopeless) break;
  }
  times[0] += best[0];
  times[1] += best[1];
  // Both round what differs only in the order of a float32 sum: to 2^-9 at most where they round to bfloat16.
  *right &= difference(c, gemm->out, gemm->m * gemm->n) < 0x1p-8;
  return true;
}

static bool run_trial(struct onednn *onednn, const struct bfloat16_kernel *kernel, struct gemm_choice *choice,
                      struct error *error) {
  struct arena arena = {0};
  struct contest c = {.onednn = onednn, .own = bfloat16_open(kernel, 1)};
  size_t a = 0, b = 0, sums = 0, packed_onednn = 0, packed_own = 0;
  for (size_t s = 0; s < SHAPES; s++)
    for (enum gemm_form form = GEMM_NT; form <= GEMM_TN; form++) {
      struct gemm gemm = product(form, shapes[s]);
      a = most(a, (size_t)(gemm.m * gemm.k));
      b = most(b, (size_t)(gemm.k * gemm.n));
      sums = most(sums, (size_t)(gemm.m * gemm.n));
      packed_own = most(packed_own, bfloat16_packed_bytes(gemm.n, gemm.k));
      if (form != GEMM_TN)
        packed_onednn = most(packed_onednn, onednn_packed_bytes(onednn, form, gemm.n, gemm.k, DTYPE_BFLOAT16));
    }
  c.a = memory_on_lines(&arena, a * sizeof *c.a);
  c.b = memory_on_lines(&arena, b * sizeof *c.b);
  c.c_onednn = memory_on_lines(&arena, sums * sizeof(float));
  c.c_own = memory_on_lines(&arena, sums * sizeof(float));
  c.packed_onednn = memory_on_lines(&arena, packed_onednn);
  c.packed_own = memory_on_lines(&arena, packed_own);
  // Values from 0.5 to 2 of either sign.
  for (size_t i = 0; i < a; i++) c.a[i] = (uint16_t)(0x3F00 | (random_below(0, 0, 0, i, 1 << 16) & 0x80FF));
  for (size_t i = 0; i < b; i++) c.b[i] = (uint16_t)(0x3F00 | (random_below(0, 0, 1, i, 1 << 16) & 0x80FF));
  bool fine = true, right = true;
  for (enum gemm_form form = GEMM_NT; fine && form <= GEMM_TN; form++) {
    double times[2] = {0, 0};
    for (size_t s = 0; fine && s < SHAPES; s++) {
      struct gemm gemm = product(form, shapes[s]);
      fine = try_product(&c, &gemm, times, &right, error);
    }
    choice->own[form] = times[1] < times[0];
  }
  choice->right = true;
  if (!fine || !right) *choice = (struct gemm_choice){0};
  if (fine && !right)
    fprintf(stderr, "the %s products do not agree with oneDNN's on this CPU and are not used; please report it\n",
            kernel->name);
  bfloat16_close(c.own);
  arena_free(&arena);
  return fine;
}

struct gemm_choice gemm_trial(const struct bfloat16_kernel *kernel) {
  struct gemm_choice choice = {0};
  const char *wanted = getenv("ISOLOSS_TRIALS");
  if (wanted && strcmp(wanted, "off") == 0) return choice;
  struct arena arena = {0};
  struct error error = {0};
  struct onednn *onednn = onednn_open(1, &error);
  const char *path = onednn ? choice_path(&arena, onednn, kernel) : NULL;
  if (path && !choice_read(path, &choice)) {
    int lock = file_lock_wait(arena_format(&arena, "%s.lock", path), LOCK_SECONDS, &error);
    if (lock >= 0 && !choice_read(path, &choice) && run_trial(onednn, kernel, &choice, &error)) {
      struct text line = {0};
      choice_line(&choice, &line);
      if (!file_write_atomic(path, line.bytes, line.length, &error)) choice = (struct gemm_choice){0};
      text_free(&line);
    }
    if (lock >= 0) close(lock);
  }
  if (error.code != EXIT_DONE) fprintf(stderr, "bfloat16 products are oneDNN's, unmeasured: %s\n", error.text);
  if (onednn) onednn_close(onednn);
  arena_free(&arena);
  return choice;
}
