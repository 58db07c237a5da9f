// See evaluate_suites.h.
#include "trainer/stages/evaluate_suites.h"

#include <math.h>
#include <string.h>

#include "trainer/evaluation.h"

// Windows are those of seed 0, so that all models are asked the same.
static void write_windows(const struct suite_alphabet *alphabet, enum suite suite, int64_t first, int64_t count,
                          int64_t context, struct batch_memory *batch) {
  for (int64_t i = 0; i < count; i++) {
    struct suite_window window = {
        .stream = RANDOM_STREAM_VALIDATION, .step = 1 + (uint64_t)suite, .window = (uint64_t)(first + i)};
    suite_write(alphabet, suite, &window, context, batch->tokens + i * context, batch->targets + i * context,
                batch->mask + i * context);
  }
}

static bool measure(struct stage_work *work, struct two_models *two, const struct suite_alphabet *alphabet,
                    enum suite suite, struct suite_results *results, struct error *error) {
  struct training *t = &work->run;
  int64_t context = t->file.config.model.context, at_once = t->model->rows / context;
  int64_t windows = (t->file.config.evaluate.suite_tokens + context - 1) / context;
  for (int64_t first = 0; first < windows; first += at_once) {
    int64_t count = windows - first < at_once ? windows - first : at_once;
    work->stopped = work->stop_asked && *work->stop_asked;
    if (work->stopped) return false;
    write_windows(alphabet, suite, first, count, context, &t->batch);
    if (!two_models_forward(two, count * context, t->batch.tokens, error)) return false;
    for (int64_t w = 0; w < count; w++) {
      int64_t answers = 0, right[2] = {0};
      if (!two_models_answers(two, w * context, context, t->batch.targets + w * context, t->batch.mask + w * context,
                              &answers, right, error))
        return false;
      for (int m = 0; m < 2; m++) suite_score_add(&results->scores[m][suite], answers, right[m]);
    }
  }
  return true;
}

bool suites_measure(struct stage_work *work, struct two_models *two, struct suite_results *results,
                    struct error *error) {
  const struct run_config *c = &work->run.file.config;
  struct suite_alphabet alphabet;
  *results = (struct suite_results){.asked = c->evaluate.suite_tokens > 0, .symbols = c->evaluate.suite_symbols};
  if (!results->asked) return true;
  if (!suite_alphabet_of(work->run.corpus, results->symbols, &alphabet, error)) return false;
  for (int i = 0; i < SUITE_COUNT; i++)
    if (!measure(work, two, &alphabet, (enum suite)i, results, error)) return false;
  return true;
}

double suite_recovery(const struct suite_score *uncompressed, const struct suite_score *compressed, double chance) {
  if (!(suite_above_chance(uncompressed, chance) >= SUITE_LEAST_SKILL)) return NAN;
  return 100 * (suite_accuracy(compressed) - chance) / (suite_accuracy(uncompressed) - chance);
}

const char *suites_reasons(const struct suite_results *results, struct arena *arena) {
  struct text text = {0};
  for (int i = 0; i < SUITE_COUNT; i++) {
    const struct suite_score *score = &results->scores[0][i];
    double chance = suite_chance((enum suite)i, results->symbols);
    if (suite_above_chance(score, chance) >= SUITE_LEAST_SKILL) continue;
    text_format(
        &text,
        "%s%s: no recovery, since the uncompressed model is not above chance by %d standard errors (%.4f, chance "
        "%.4f)",
        text.length ? "; " : "", suite_names[i], SUITE_LEAST_SKILL, suite_accuracy(score), chance);
  }
  const char *words = text.length ? arena_string(arena, text_string(&text)) : NULL;
  text_free(&text);
  return words;
}

size_t suites_tell(const struct suite_results *results, struct stage_work *work, struct stage_number *numbers) {
  struct arena *arena = &work->run.arena;
  size_t count = 0;
  if (!results->asked) return 0;
  for (int i = 0; i < SUITE_COUNT; i++) {
    const struct suite_score *before = &results->scores[0][i], *now = &results->scores[1][i];
    double chance = suite_chance((enum suite)i, results->symbols);
    const char *name = suite_names[i];
    numbers[count++] = (struct stage_number){arena_format(arena, "%s_accuracy", name), suite_accuracy(now)};
    numbers[count++] = (struct stage_number){arena_format(arena, "%s_error", name), suite_standard_error(now)};
    numbers[count++] = (struct stage_number){arena_format(arena, "%s_chance", name), chance};
    numbers[count++] =
        (struct stage_number){arena_format(arena, "%s_recovery", name), suite_recovery(before, now, chance)};
  }
  work->note_key = "suites_note";
  work->note = suites_reasons(results, arena);
  return count;
}
