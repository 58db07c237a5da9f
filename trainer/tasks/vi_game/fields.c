// What a spec may give of task `vi_game`, and what its runs report.
#define TASK "vi_game"
#define SETTINGS struct vi_game
#include "trainer/tasks/fields.h"

#include <string.h>

#include "trainer/tasks/vi_game/vi_game.h"

static const struct run_field fields[] = {
    {CHOICE(game, "bilinear|strongly_monotone"), DEFAULT("bilinear"), COUNTS,
     HELP("x A y with linear terms, or the same with monotone/2 (x^2 - y^2)")},
    {INTEGER(dimension, 1, 4096), DEFAULT("32"), COUNTS, HELP("variables of each of the two players")},
    {NUMBER(monotone, 0, 100), DEFAULT("0.5"), COUNTS, HELP("strongly_monotone: the coefficient")},
    {CHOICE(noise_kind, "absolute|relative"), DEFAULT("absolute"), COUNTS,
     HELP("Gaussian noise of a worker's vector: of one size, or of the size of each of its elements")},
    {NUMBER(noise, 0, 100), DEFAULT("0.1"), COUNTS,
     HELP("its standard deviation, or that over the element's magnitude")},
    {CHOICE(method, "gda|extragradient|oda|qoda"), DEFAULT("qoda"), COUNTS,
     HELP("gradient descent ascent, extra-gradient, optimistic dual averaging, or that with quantized exchanges")},
    {CHOICE(levels, "none|uniform|exponential|fitted|layerwise"), DEFAULT("none"), COUNTS,
     HELP(
         "what magnitudes of exchanged vectors are rounded to: float32, evenly spaced, powers of two, fitted to what is "
         "sent, or fitted for each player by itself; needed by qoda, and none of oda")},
    {INTEGER(level_count, 1, LEVELS_MOST), DEFAULT("7"), COUNTS,
     HELP("levels above 0: 7 make symbols of 4 bits with the sign")},
    {INTEGER(workers, 1, 1024), DEFAULT("1"), COUNTS, HELP("K: workers whose vectors are averaged")},
    {INTEGER(steps, 1, 1e9), DEFAULT("1000"), UNIT("steps"), COUNTS, HELP("T")},
    {NUMBER(rate, 0, 100), DEFAULT("0.1"), COUNTS, HELP("step of gda and extragradient; oda and qoda find theirs")},
};

static const struct task_result results[] = {
    RESULT(gap, "", "norm of the operator at the mean of the points that were played, over that at the start"),
    RESULT(last_gap, "", "the same at the last point"),
    RESULT(bytes, "bytes", "that one worker sent, fitted levels included"),
    RESULT(exchanges, "", "vectors that one worker sent"),
    RESULT(quantization_error, "",
           "squared error of the quantized vectors over their squares, mean over what was sent"),
};

static bool resolve(void *settings, struct error *error) {
  struct vi_game *g = settings;
  bool exact = strcmp(g->levels, "none") == 0;
  if (strcmp(g->method, "qoda") == 0 ? exact : strcmp(g->method, "oda") == 0 && !exact)
    return error_set(error, EXIT_USAGE_ERROR,
                     exact ? "vi_game.method qoda quantizes: give vi_game.levels, or take oda"
                           : "vi_game.method oda does not quantize: vi_game.levels goes with qoda") ||
           error_about(error, "vi_game.method", "vi_game.levels", NULL);
  return true;
}

// N is the variables of both players.
static void counts(const void *settings, struct task_numbers *counts) {
  const struct vi_game *g = settings;
  counts->parameters = 2 * (double)g->dimension;
  counts->steps = (double)g->steps;
}

static const struct task_word words[] = {
    {"parameters", "variables of both players", "variables", ""},
    {"loss", "norm of the operator over that at the start", "gap", ""},
    {"train_loss", "norm of the operator over that at the start", "gap", ""},
    {0},
};

const struct task task_vi_game = {
    TASK_TABLES,      .help = "a game of two players, solved by workers that exchange quantized vectors",
    .version = 1,     .resolve = resolve,
    .counts = counts, .words = words};
