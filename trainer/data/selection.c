// See selection.h.
#include "trainer/data/selection.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/philox.h"
#include "trainer/data/permutation.h"
#include "trainer/data/source.h"

struct corpus_batch selection_request(uint64_t stream, int64_t window, int64_t context) {
  return (struct corpus_batch){.seed = stream, .step = window, .batch_rows = 1, .rows = 1, .context = context};
}

// ---- the file: a line of what it is, a line for each window, the digest of all before ----

bool selection_write(const struct selection *s, const char *path, struct error *error) {
  struct text text = {0};
  text_format(&text, "isoloss selection 1\n%s %" PRIu64 " %" PRId64 " %d\n", s->corpus, s->stream, s->count,
              s->weights != NULL);
  for (int64_t i = 0; i < s->count; i++) {
    char weight[32] = "";
    if (s->weights) number_shortest(s->weights[i], weight);
    text_format(&text, "%" PRId64 "%s%s\n", s->windows[i], s->weights ? " " : "", weight);
  }
  struct digest digest = digest_bytes(text.bytes, text.length);
  text_format(&text, "%s\n", digest.hex);
  bool fine = file_write_atomic(path, text.bytes, text.length, error);
  text_free(&text);
  return fine;
}

static bool parse(char *text, size_t length, struct arena *arena, struct selection *s) {
  enum { END = DIGEST_LENGTH + 1 };
  int weighted, used = 0;
  if (length < END) return false;
  struct digest digest = digest_bytes(text, length - END);
  if (memcmp(text + length - END, digest.hex, DIGEST_LENGTH) != 0) return false;
  if (sscanf(text, "isoloss selection 1\n%39s %" SCNu64 " %" SCNd64 " %d\n%n", s->corpus, &s->stream, &s->count,
             &weighted, &used) != 4 ||
      s->count < 1 || s->count > (int64_t)length)
    return false;
  s->windows = arena_array(arena, (size_t)s->count, sizeof *s->windows);
  s->weights = weighted ? arena_array(arena, (size_t)s->count, sizeof *s->weights) : NULL;
  char *at = text + used;
  for (int64_t i = 0; i < s->count; i++) {
    s->windows[i] = strtoll(at, &at, 10);
    if (weighted) s->weights[i] = strtod(at, &at);
  }
  return true;
}

bool selection_read(const char *path, struct arena *arena, struct selection *s, struct error *error) {
  size_t length;
  *s = (struct selection){0};
  char *text = file_read(arena, path, &length, error);
  if (!text) return false;
  return parse(text, length, arena, s) ||
         error_set(error, EXIT_ENVIRONMENT, "%s is damaged: isoloss run SPEC --again makes the selection anew", path);
}

// ---- the corpus ----

struct selected {
  struct corpus *from;
  const struct selection *selection;
  double *sums;  // of weights up to each window; NULL without
};

static const struct selected *of(const struct corpus *corpus) { return corpus->state; }

static int64_t drawn(const struct selected *s, uint64_t seed, __int128 number) {
  const int64_t count = s->selection->count;
  if (!s->sums) {
    const uint64_t keyed[2] = {seed, (uint64_t)(number / count)};
    struct permutation order = permutation(hash64(keyed, sizeof keyed, 0x73656C656374u), (uint64_t)count);
    return (int64_t)permute(&order, (uint64_t)(number % count));
  }
  double u = random_uniform(mix64(seed), RANDOM_STREAM_BATCH, (uint64_t)(number >> 32), (uint32_t)number);
  int64_t low = 0, high = count - 1;
  while (low < high) {
    int64_t middle = (low + high) / 2;
    if (s->sums[middle] > u * s->sums[count - 1])
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

static struct corpus_batch request_of_row(const struct selected *s, const struct corpus_batch *request, int64_t row) {
  __int128 number = (__int128)request->step * request->batch_rows + request->first_row + row;
  return selection_request(s->selection->stream, s->selection->windows[drawn(s, request->seed, number)],
                           request->context);
}

static bool selected_batch(const struct corpus *corpus, const struct corpus_batch *request, int32_t *inputs,
                           int32_t *targets, uint8_t *mask, struct error *error) {
  const struct selected *s = of(corpus);
  for (int64_t i = 0; i < request->rows; i++) {
    const struct corpus_batch one = request_of_row(s, request, i);
    int64_t at = i * request->context;
    if (!corpus_batch(s->from, &one, inputs + at, targets + at, mask ? mask + at : NULL, error)) return false;
  }
  return true;
}

static int selected_batch_part(const struct corpus *corpus, const struct corpus_batch *request, int64_t row) {
  const struct corpus_batch one = request_of_row(of(corpus), request, row);
  return corpus_batch_part(of(corpus)->from, &one, 0);
}

static int64_t selected_epoch(const struct corpus *corpus, int64_t step, int64_t batch_rows, int64_t context) {
  return (int64_t)((__int128)step * batch_rows / of(corpus)->selection->count);
}

static void selected_facts(const struct corpus *corpus, int64_t context, struct corpus_facts *facts) {
  const struct selected *s = of(corpus);
  s->from->ops->facts(s->from, context, facts);
  facts->train_tokens = s->selection->count * context;
}

static bool selected_check_context(const struct corpus *corpus, int64_t context, struct error *error) {
  return corpus_check_context(of(corpus)->from, context, error);
}
static int64_t selected_validation_windows(const struct corpus *corpus, int64_t context) {
  return corpus_validation_windows(of(corpus)->from, context);
}
static bool selected_validation(const struct corpus *corpus, int64_t first_window, int64_t windows, int64_t context,
                                int32_t *inputs, int32_t *targets, uint8_t *mask, struct error *error) {
  return corpus_validation(of(corpus)->from, first_window, windows, context, inputs, targets, mask, error);
}
static bool selected_decode(const struct corpus *corpus, const int32_t *tokens, int64_t count, struct text *out,
                            struct error *error) {
  return corpus_decode(of(corpus)->from, tokens, count, out, error);
}
static double selected_validation_bytes(const struct corpus *corpus, int64_t first_window, int64_t windows,
                                        int64_t context) {
  return corpus_validation_bytes(of(corpus)->from, first_window, windows, context);
}
static void selected_oracle(const struct corpus *corpus, int64_t window, int64_t context, double *sum, double *squares,
                            int64_t *targets) {
  const struct corpus *from = of(corpus)->from;
  from->ops->oracle(from, window, context, sum, squares, targets);
}
static bool selected_check_targets(const struct corpus *corpus, struct error *error) {
  return corpus_check_targets(of(corpus)->from, error);
}
static const struct tokenizer *selected_tokenizer(const struct corpus *corpus) {
  return corpus_tokenizer(of(corpus)->from);
}
static bool selected_verify(const struct corpus *corpus, struct error *error) {
  return corpus_verify(of(corpus)->from, error);
}
static int selected_part_count(const struct corpus *corpus) { return corpus_part_count(of(corpus)->from); }
static struct corpus_part selected_part(const struct corpus *corpus, int part) {
  return corpus_part(of(corpus)->from, part);
}
static int selected_validation_part(const struct corpus *corpus, int64_t window) {
  return corpus_validation_part(of(corpus)->from, window);
}

static void selected_close(struct corpus *corpus) {
  struct selected *s = corpus->state;
  corpus_close(s->from);
  free(s->sums);
  free(s);
}

#define SELECTED_OPS                                                                                                   \
  .close = selected_close, .check_context = selected_check_context, .validation_windows = selected_validation_windows, \
  .batch = selected_batch, .validation = selected_validation, .facts = selected_facts, .decode = selected_decode,      \
  .validation_bytes = selected_validation_bytes, .epoch = selected_epoch, .check_targets = selected_check_targets,     \
  .tokenizer = selected_tokenizer, .verify = selected_verify, .part_count = selected_part_count,                       \
  .part = selected_part, .batch_part = selected_batch_part, .validation_part = selected_validation_part
static const struct corpus_ops plain_ops = {SELECTED_OPS}, oracle_ops = {SELECTED_OPS, .oracle = selected_oracle};

bool selection_wrap(struct corpus **corpus, const struct selection *selection, struct error *error) {
  struct corpus *from = *corpus;
  if (strcmp(from->digest, selection->corpus) != 0)
    return error_set(error, EXIT_USAGE_ERROR,
                     "the data were selected from corpus %.8s, and this training names corpus %.8s: leave out its "
                     "corpus",
                     selection->corpus, from->digest);
  struct corpus *wrapped = memory_get(sizeof *wrapped);
  struct selected *s = memory_get(sizeof *s);
  *s = (struct selected){.from = from, .selection = selection};
  if (selection->weights) {
    double sum = 0;
    s->sums = memory_get((size_t)selection->count * sizeof *s->sums);
    for (int64_t i = 0; i < selection->count; i++) s->sums[i] = sum += selection->weights[i];
  }
  *wrapped = (struct corpus){.ops = from->ops->oracle ? &oracle_ops : &plain_ops,
                             .vocabulary = from->vocabulary,
                             .has_mask = from->has_mask,
                             .state = s};
  memcpy(wrapped->digest, from->digest, sizeof wrapped->digest);
  text_add(&wrapped->manifest, text_string(&from->manifest));
  *corpus = wrapped;
  return true;
}
