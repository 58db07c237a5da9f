// See evaluation.h.
#include "trainer/evaluation.h"

#include <math.h>
#include <stdlib.h>

struct batch_memory batch_memory(int64_t rows) {
  struct batch_memory batch = {.rows = rows};
  batch.tokens = memory_get((size_t)rows * sizeof *batch.tokens);
  batch.targets = memory_get((size_t)rows * sizeof *batch.targets);
  batch.mask = memory_get((size_t)rows * sizeof *batch.mask);
  return batch;
}

void batch_free(struct batch_memory *batch) {
  free(batch->tokens);
  free(batch->targets);
  free(batch->mask);
  *batch = (struct batch_memory){0};
}

int64_t evaluation_windows(const struct corpus *corpus, int64_t tokens, int64_t context) {
  int64_t windows = tokens / context, all = corpus_validation_windows(corpus, context);
  if (windows < 1) windows = 1;
  return windows < all ? windows : all;
}

// Losses of a mixture's parts, from those of rows.
struct part_sums {
  double nats[CORPUS_MOST_PARTS];
  int64_t targets[CORPUS_MOST_PARTS];
};

static void add_parts(const struct corpus *corpus, int64_t first, int64_t windows, int64_t context, const uint8_t *mask,
                      const float *row_nats, struct part_sums *sums) {
  for (int64_t w = 0; w < windows; w++) {
    const int part = corpus_validation_part(corpus, first + w);
    for (int64_t row = w * context; row < (w + 1) * context; row++) {
      if (mask && !mask[row]) continue;
      sums->nats[part] += row_nats[row];
      sums->targets[part]++;
    }
  }
}

bool evaluation_run(struct model *model, const struct corpus *corpus, int64_t windows, struct batch_memory *batch,
                    const volatile sig_atomic_t *stop, bool *stopped, struct evaluation *result, struct error *error) {
  int64_t context = model->config.model.context, at_once = model->evaluation_rows / context;
  struct loss_sum sum = {0};
  struct part_sums parts = {0};
  const int part_count = corpus_part_count(corpus);
  float *row_nats = part_count ? memory_get((size_t)batch->rows * sizeof *row_nats) : NULL;
  bool fine = true;
  *stopped = false;
  for (int64_t first = 0; first < windows && fine; first += at_once) {
    *stopped = stop && *stop;
    if (*stopped) break;
    int64_t count = windows - first < at_once ? windows - first : at_once;
    struct token_batch tokens = {.rows = count * context, .tokens = batch->tokens, .targets = batch->targets};
    if (corpus_has_mask(corpus)) tokens.mask = batch->mask;
    fine = corpus_validation(corpus, first, count, context, batch->tokens, batch->targets, batch->mask, error) &&
           model_evaluate(model, &tokens, first * context, &sum, row_nats, error);
    if (fine && row_nats) add_parts(corpus, first, count, context, tokens.mask, row_nats, &parts);
  }
  free(row_nats);
  if (!fine || *stopped) return fine;
  if (sum.targets == 0) return error_set(error, EXIT_USAGE_ERROR, "the validation tokens hold no unmasked target");
  double bytes = corpus_validation_bytes(corpus, 0, windows, context);
  struct corpus_oracle oracle;
  *result = (struct evaluation){.loss = sum.nats / (double)sum.targets,
                                .bits_per_byte = bytes > 0 ? sum.nats / (M_LN2 * bytes) : NAN,
                                .oracle_loss = corpus_oracle(corpus, 0, windows, context, &oracle) ? oracle.loss : NAN,
                                .tokens = windows * context,
                                .targets = sum.targets,
                                .parts = part_count};
  for (int i = 0; i < part_count; i++) result->part_loss[i] = parts.nats[i] / (double)parts.targets[i];  // 0 / 0: NAN
  return true;
}
