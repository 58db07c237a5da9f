// A mixture of corpora: which source a window is of follows from (seed, number of the window) alone, and so does its
// number among that source's windows, which makes them a training on that source's own. In every block of 1000 windows
// each source has its exact share; a source goes through its own epochs. Validation windows are mixed the same way, in
// one order for all runs. See mixture.h.
#include "trainer/data/mixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/data/mixture_state.h"
#include "trainer/data/permutation.h"

static const uint64_t validation_key = 0x6D697874757265u;  // any number

static const struct mixture *mixture_of(const struct corpus *corpus) { return corpus->state; }

static int part_of_slot(const struct mixture *m, int slot) {
  int part = 0;
  while (slot >= m->first[part + 1]) part++;
  return part;
}

// The seed of a part's own draws: sources of one kind must not draw alike.
static uint64_t seed_of_part(uint64_t seed, int part) { return hash64(&part, sizeof part, seed) >> 11; }

// ---- training windows ----

struct placed {
  int part;
  int64_t window;  // of the part's own
};

static struct placed place(const struct mixture *m, uint64_t seed, __int128 number) {
  const int64_t block = (int64_t)(number / MIXTURE_BLOCK), keyed[2] = {block, (int64_t)seed};
  struct permutation order = permutation(hash64(keyed, sizeof keyed, validation_key), MIXTURE_BLOCK);
  int slot = (int)permute(&order, (uint64_t)(number % MIXTURE_BLOCK)), part = part_of_slot(m, slot);
  return (struct placed){part, block * m->parts.items[part].share + slot - m->first[part]};
}

static __int128 number_of(const struct corpus_batch *request, int64_t row) {
  return (__int128)request->step * request->batch_rows + request->first_row + row;
}

static bool mixture_batch(const struct corpus *corpus, const struct corpus_batch *request, int32_t *inputs,
                          int32_t *targets, uint8_t *mask, struct error *error) {
  const struct mixture *m = mixture_of(corpus);
  for (int64_t i = 0; i < request->rows; i++) {
    struct placed placed = place(m, request->seed, number_of(request, i));
    const struct corpus_batch own = {.seed = seed_of_part(request->seed, placed.part),
                                     .step = placed.window,
                                     .batch_rows = 1,
                                     .rows = 1,
                                     .context = request->context};
    int64_t at = i * request->context;
    if (!corpus_batch(m->corpora[placed.part], &own, inputs + at, targets + at, mask ? mask + at : NULL, error))
      return false;
  }
  return true;
}

static int mixture_batch_part(const struct corpus *corpus, const struct corpus_batch *request, int64_t row) {
  return place(mixture_of(corpus), request->seed, number_of(request, row)).part;
}

// Training tokens after which the first source begins anew.
static int64_t train_tokens(const struct mixture *m, int64_t context) {
  double least = INFINITY;
  for (int i = 0; i < m->parts.count; i++) {
    int64_t own = corpus_facts(m->corpora[i], context).train_tokens;
    if (own != INT64_MAX) least = fmin(least, (double)own / m->parts.items[i].share * MIXTURE_BLOCK);
  }
  return isinf(least) ? INT64_MAX : (int64_t)least;
}

static int64_t mixture_epoch(const struct corpus *corpus, int64_t step, int64_t batch_rows, int64_t context) {
  int64_t tokens = train_tokens(mixture_of(corpus), context);
  return tokens == INT64_MAX || tokens < 1 ? 0 : (int64_t)((__int128)step * batch_rows * context / tokens);
}

// ---- validation windows ----

// The parts of a block's windows in the order of validation, the same in every block, and how many of the same part
// come before: any first windows of the mixture are first windows of each part.
void mixture_order(struct mixture *m) {
  struct permutation order = permutation(validation_key, MIXTURE_BLOCK);
  int seen[CORPUS_MOST_PARTS] = {0};
  for (int i = 0; i < MIXTURE_BLOCK; i++) {
    int part = part_of_slot(m, (int)permute(&order, (uint64_t)i));
    m->order[i] = (uint8_t)part;
    m->rank[i] = (int16_t)seen[part]++;
  }
}

static struct placed place_validation(const struct mixture *m, int64_t window) {
  int64_t block = window / MIXTURE_BLOCK, at = window % MIXTURE_BLOCK;
  int part = m->order[at];
  return (struct placed){part, block * m->parts.items[part].share + m->rank[at]};
}

// As many as there are before one of a part's own would come twice.
static int64_t mixture_validation_windows(const struct corpus *corpus, int64_t context) {
  const struct mixture *m = mixture_of(corpus);
  int64_t there[CORPUS_MOST_PARTS], blocks = INT64_MAX;
  for (int i = 0; i < m->parts.count; i++) {
    there[i] = corpus_validation_windows(m->corpora[i], context);
    int64_t own = there[i] / m->parts.items[i].share;
    if (own < blocks) blocks = own;
  }
  int64_t windows = blocks * MIXTURE_BLOCK;
  for (;; windows++) {
    struct placed placed = place_validation(m, windows);
    if (placed.window >= there[placed.part]) return windows;
  }
}

static bool mixture_validation(const struct corpus *corpus, int64_t first_window, int64_t windows, int64_t context,
                               int32_t *inputs, int32_t *targets, uint8_t *mask, struct error *error) {
  const struct mixture *m = mixture_of(corpus);
  for (int64_t i = 0; i < windows; i++) {
    struct placed placed = place_validation(m, first_window + i);
    int64_t at = i * context;
    if (!corpus_validation(m->corpora[placed.part], placed.window, 1, context, inputs + at, targets + at,
                           mask ? mask + at : NULL, error))
      return false;
  }
  return true;
}

static int mixture_validation_part(const struct corpus *corpus, int64_t window) {
  return place_validation(mixture_of(corpus), window).part;
}

static double mixture_validation_bytes(const struct corpus *corpus, int64_t first_window, int64_t windows,
                                       int64_t context) {
  const struct mixture *m = mixture_of(corpus);
  double bytes = 0;
  for (int64_t i = 0; i < windows; i++) {
    struct placed placed = place_validation(m, first_window + i);
    bytes += corpus_validation_bytes(m->corpora[placed.part], placed.window, 1, context);
  }
  return bytes;
}

// ---- the rest ----

static bool mixture_check_context(const struct corpus *corpus, int64_t context, struct error *error) {
  const struct mixture *m = mixture_of(corpus);
  for (int i = 0; i < m->parts.count; i++)
    if (!corpus_check_context(m->corpora[i], context, error))
      return error_context(error, "%s of corpus.mixture", m->parts.items[i].name);
  return true;
}

static bool mixture_check_targets(const struct corpus *corpus, struct error *error) {
  const struct mixture *m = mixture_of(corpus);
  for (int i = 0; i < m->parts.count; i++)
    if (!corpus_check_targets(m->corpora[i], error))
      return error_context(error, "%s of corpus.mixture", m->parts.items[i].name);
  return true;
}

// No closed form: a model has to find out first which source a window is of.
static void mixture_facts(const struct corpus *corpus, int64_t context, struct corpus_facts *facts) {
  const struct mixture *m = mixture_of(corpus);
  double bytes = 0, targets = 0;
  int64_t documents = 0;
  for (int i = 0; i < m->parts.count; i++) {
    struct corpus_facts own = corpus_facts(m->corpora[i], context);
    double share = (double)m->parts.items[i].share / MIXTURE_BLOCK;
    bytes += share * own.bytes_per_token;
    targets += share * own.targets_per_token;
    documents = documents < 0 || own.validation_documents < 0 ? -1 : documents + own.validation_documents;
  }
  facts->train_tokens = train_tokens(m, context);
  facts->bytes_per_token = bytes;
  facts->targets_per_token = targets;
  facts->validation_documents = documents;
}

static bool mixture_decode(const struct corpus *corpus, const int32_t *tokens, int64_t count, struct text *out,
                           struct error *error) {
  return corpus_decode(mixture_of(corpus)->corpora[0], tokens, count, out, error);
}

static const struct tokenizer *mixture_tokenizer(const struct corpus *corpus) {
  return corpus_tokenizer(mixture_of(corpus)->corpora[0]);
}

static bool mixture_verify(const struct corpus *corpus, struct error *error) {
  const struct mixture *m = mixture_of(corpus);
  for (int i = 0; i < m->parts.count; i++)
    if (!corpus_verify(m->corpora[i], error)) return false;
  return true;
}

static void mixture_close(struct corpus *corpus) {
  struct mixture *m = corpus->state;
  for (int i = 0; i < m->parts.count; i++) corpus_close(m->corpora[i]);
  arena_free(&m->arena);
  free(m);
}

static int mixture_part_count(const struct corpus *corpus) { return mixture_of(corpus)->parts.count; }

static struct corpus_part mixture_part(const struct corpus *corpus, int part) {
  const struct mixture_part *item = &mixture_of(corpus)->parts.items[part];
  return (struct corpus_part){item->name, (double)item->share / MIXTURE_BLOCK};
}

const struct corpus_ops mixture_ops = {.close = mixture_close,
                                       .check_context = mixture_check_context,
                                       .validation_windows = mixture_validation_windows,
                                       .batch = mixture_batch,
                                       .validation = mixture_validation,
                                       .facts = mixture_facts,
                                       .decode = mixture_decode,
                                       .validation_bytes = mixture_validation_bytes,
                                       .epoch = mixture_epoch,
                                       .check_targets = mixture_check_targets,
                                       .tokenizer = mixture_tokenizer,
                                       .verify = mixture_verify,
                                       .part_count = mixture_part_count,
                                       .part = mixture_part,
                                       .batch_part = mixture_batch_part,
                                       .validation_part = mixture_validation_part};
