// What a spec may give of task `level_switch`, and what its runs report.
#define TASK "level_switch"
#define SETTINGS struct level_switch
#include "trainer/tasks/fields.h"

#include <inttypes.h>

#include "trainer/tasks/level_switch/level_switch.h"

static const struct run_field fields[] = {
    {CHOICE(costs, "equal|random"), DEFAULT("equal"), COUNTS,
     HELP("what a dropped layer costs: 0 of the best ones and 1 of the others, or numbers drawn evenly")},
    {INTEGER(layers, 2, 4096), DEFAULT("32"), COUNTS, HELP("n, layers of which some are dropped")},
    {INTEGER(dropped, 1, 4095), AUTO, COUNTS, HELP("k, how many are; auto: half")},
    {INTEGER(offspring, 1, 100000), DEFAULT("1"), COUNTS, HELP("lambda: made of the parent in each generation")},
    {INTEGER(repeats, 1, 100000), DEFAULT("8"), COUNTS, HELP("searches whose mean is reported")},
    {INTEGER(most_generations, 1, 1e9), DEFAULT("1e6"), COUNTS, HELP("a search ends without having got there")},
};

static const struct task_result results[] = {
    RESULT(generations, "", "until the best layers are dropped, mean over repeats; empty where one did not get there"),
    RESULT(ratio, "", "generations lambda / (k (n - k))"),
};

static bool resolve(void *settings, struct error *error) {
  struct level_switch *s = settings;
  if (s->dropped == AUTO_INTEGER) s->dropped = s->layers / 2;
  if (s->dropped < s->layers) return true;
  return error_set(error, EXIT_USAGE_ERROR, "level_switch.dropped %" PRId64 " are all of %" PRId64 " layers",
                   s->dropped, s->layers) ||
         error_about(error, "level_switch.dropped", "level_switch.layers", NULL);
}

static void counts(const void *settings, struct task_numbers *counts) {
  const struct level_switch *s = settings;
  counts->parameters = (double)s->layers;
  counts->steps = (double)s->repeats;
}

static const struct task_word words[] = {
    {"parameters", "layers", "layers", ""},
    {0},
};

const struct task task_level_switch = {
    TASK_TABLES,      .help = "generations of a search over layers on costs that add up",
    .version = 1,     .resolve = resolve,
    .counts = counts, .words = words};
