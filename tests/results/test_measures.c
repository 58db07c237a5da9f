// Names and units of what runs report: units are those of the tables of columns, results and fields; tasks say what
// their columns are, and what is not known has no unit.
#include <string.h>

#include "results/columns.h"
#include "results/measures.h"
#include "tests/check.h"

static struct arena arena;

static const char *words(const char *column, const struct task *task) {
  struct measure measure = measure_of(column, task);
  return measure_words(&measure, &arena);
}

static void trainings_have_the_columns_units(void) {
  CHECK_TEXT(words("loss", NULL), "validation loss (nats/token)");
  CHECK_TEXT(words("parameters", NULL), "non-embedding parameters");
  CHECK_TEXT(words("parameters_active_average", NULL), "average-active parameters");
  CHECK_TEXT(words("tokens", NULL), "training tokens");
  CHECK_TEXT(words("flops", NULL), "training compute (FLOP)");
  CHECK_TEXT(words("wall_seconds", NULL), "training time (s)");
  CHECK_TEXT(words("peak_memory", NULL), "peak_memory (bytes)");
  CHECK_TEXT(words("boolean.accuracy", NULL), "boolean.accuracy");
  CHECK_TEXT(words("speculative.mu", NULL), "speculative.mu (nats)");
  CHECK_TEXT(words("train.tokens", NULL), "train.tokens (tokens)");
  CHECK_TEXT(words("anything", NULL), "anything");
  struct measure loss = measure_of("loss", NULL);
  CHECK_TEXT(measure_behind(&loss, &arena), " nats/token");
  // Each kind of N has a name of its own.
  for (size_t i = 0; parameter_count_names[i]; i++) {
    struct measure size = measure_of(parameter_count_column(parameter_count_names[i]), NULL);
    CHECK(size.symbol && strcmp(size.symbol, "N") == 0);
    CHECK_TEXT(size.name, arena_format(&arena, "%s parameters", parameter_count_names[i]));
  }
}

static void tables_have_no_units_of_losses(void) {
  struct measures measures = measures_of_table("parameters", "loss");
  CHECK_TEXT(measure_words(&measures.outcome, &arena), "loss");
  CHECK(measure_is_loss(&measures.outcome));
  measures = measures_of_table("parameters", "accuracy");
  CHECK_TEXT(measure_words(&measures.outcome, &arena), "accuracy");
  CHECK(!measure_is_loss(&measures.outcome));
}

static void tasks_say_what_theirs_are(void) {
  CHECK_TEXT(words("loss", task_find("boolean")), "test loss (nats/example)");
  CHECK_TEXT(words("tokens", task_find("boolean")), "training examples");
  CHECK_TEXT(words("loss", task_find("speculative")), "validation loss (nats/token)");
  CHECK_TEXT(words("tokens_per_parameter", task_find("speculative")), "tokens per parameter");
  CHECK_TEXT(words("tokens_per_parameter", task_find("boolean")), "D/N");
  CHECK_TEXT(words("parameters", task_find("level_switch")), "layers");
  CHECK_TEXT(words("wall_seconds", task_find("level_switch")), "training time (s)");
  CHECK(measure_task("task boolean") == task_find("boolean") && measure_task("task boolean") != NULL);
  CHECK(!measure_task("train") && !measure_task(NULL));
  const struct task silent = {.name = "silent"};
  CHECK_TEXT(words("loss", &silent), "loss");
  CHECK_TEXT(words("parameters", &silent), "parameters");
  // None but those that work on language models is in nats per token, or counts parameters of one.
  for (size_t t = 0; run_tasks[t]; t++) {
    bool model = strcmp(run_tasks[t]->name, "speculative") == 0;
    CHECK((strcmp(measure_of("loss", run_tasks[t]).unit, "nats/token") == 0) == model);
    CHECK((strcmp(measure_of("parameters", run_tasks[t]).name, "non-embedding parameters") == 0) == model);
    for (const struct task_word *word = run_tasks[t]->words; word && word->column; word++) {
      CHECK(run_column_find(word->column) != NULL);
      CHECK(!word->name == !word->brief && !word->name == !word->unit);
    }
  }
}

int main(void) {
  RUN(trainings_have_the_columns_units);
  RUN(tables_have_no_units_of_losses);
  RUN(tasks_say_what_theirs_are);
  arena_free(&arena);
  return check_end();
}
