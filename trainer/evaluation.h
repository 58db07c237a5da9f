// Evaluations: the model's loss on the first windows of the validation split, always in the same order.
#pragma once
#include "trainer/data/corpus.h"
#include "trainer/model.h"

// Host memory for a batch of `rows` tokens; one owner, freed by batch_free.
struct batch_memory {
  int64_t rows;
  int32_t *tokens, *targets;
  uint8_t *mask;
};
struct batch_memory batch_memory(int64_t rows);
void batch_free(struct batch_memory *batch);

// How many validation windows hold `tokens` tokens: rounded down, at least one, at most all there are.
int64_t evaluation_windows(const struct corpus *corpus, int64_t tokens, int64_t context);

// Evaluates on validation windows [0, windows), model->evaluation_rows tokens at a time; `batch` has room for as many.
// The sum runs over windows in order, in double precision. When *stop (may be NULL) becomes true on the way, *stopped
// does too, and there is no result.
bool evaluation_run(struct model *model, const struct corpus *corpus, int64_t windows, struct batch_memory *batch,
                    const volatile sig_atomic_t *stop, bool *stopped, struct evaluation *result, struct error *error);
