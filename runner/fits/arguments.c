// See arguments.h.
#include "runner/fits/arguments.h"

#include <math.h>
#include <string.h>

size_t fit_arguments_options(struct fit_arguments *a, struct option *options) {
  const struct option list[] = {
      {"map", 'm', OPTION_TEXT, &a->map, "LIST", "columns by other names: parameters=N_total,tokens=D_seen"},
      {"pool", 0, OPTION_LIST, &a->pools, "SOURCE", "rows of another table too, told apart by a column 'pool'"},
      {"where", 'w', OPTION_TEXT, &a->where, "EXPR", "rows that take part: \"format == 'none' and N > 1e6\""},
      {"holdout", 0, OPTION_TEXT, &a->holdout, "EXPR", "rows kept from the fit to test it: \"N > 1e8\""},
      {"objective", 0, OPTION_TEXT, &a->objective, "KIND", "huber:DELTA, least-squares or lad (else the law's)"},
      {"residual", 0, OPTION_TEXT, &a->residual, "KIND", "log or plain (else the law's)"},
      {"weight", 0, OPTION_TEXT, &a->weight, "EXPR", "weight of a row in the objective: \"1 / std ^ 2\""},
      {"group", 0, OPTION_TEXT, &a->group, "COLUMN", "resample rows of equal COLUMN together (points of one run)"},
      {"best-over", 0, OPTION_TEXT, &a->best_over, "LIST", "keep the best row over these columns: lr,batch"},
      {"average-over", 0, OPTION_TEXT, &a->average_over, "LIST", "average over these columns: seed"},
      {"fix", 0, OPTION_LIST, &a->fixes, "NAME=VALUE", "hold a parameter: E=1.69 (may be given several times)"},
      {"free", 0, OPTION_LIST, &a->frees, "NAME", "fit a parameter that the law fixes"},
      {"baseline", 0, OPTION_LIST, &a->baselines, "COLUMN=CATEGORY", "the category that others are relative to"},
      {"bootstrap", 'b', OPTION_INTEGER, &a->bootstrap, "N", "resamples for the intervals (default 1000, 0: none)"},
      {"interval", 0, OPTION_TEXT, &a->interval, "KIND",
       "bca (bias-corrected and accelerated), percentile or t; by default bca, and t where groups or rows are few"},
      {"confidence", 0, OPTION_NUMBER, &a->confidence, "P", "of the intervals (default 0.95)"},
      {"seed", 's', OPTION_INTEGER, &a->seed, "N", "of resamples and random starts"},
      {"starts", 0, OPTION_INTEGER, &a->starts, "N", "at most this many starts (default: the law's grid, up to 5000)"},
      {"threads", 'j', OPTION_INTEGER, &a->threads, "N", "threads (default: all cores); the result is the same"}};
  memcpy(options, list, sizeof list);
  return sizeof list / sizeof *list;
}

// ---- fix NAME=VALUE, --free NAME, --baseline COLUMN=CATEGORY ----
static bool read_settings(const char *name, const struct fit_arguments *arguments, struct arena *arena,
                          struct fit_options *options, struct error *error) {
  struct fit_fix *fixes = arena_array(arena, arguments->fixes.count + arguments->frees.count + 1, sizeof *fixes);
  struct fit_baseline *baselines = arena_array(arena, arguments->baselines.count + 1, sizeof *baselines);
  for (size_t i = 0; i < arguments->fixes.count; i++) {
    const char *text = arguments->fixes.items[i], *equals = strrchr(text, '=');
    double value;
    if (!equals || equals == text || !number_parse(equals + 1, &value) || !isfinite(value))
      return error_set(error, EXIT_USAGE_ERROR, "%s: --fix %s is not of the form NAME=NUMBER", name, text);
    fixes[options->fix_count++] = (struct fit_fix){arena_copy(arena, text, (size_t)(equals - text)), value};
  }
  for (size_t i = 0; i < arguments->frees.count; i++)
    fixes[options->fix_count++] = (struct fit_fix){arguments->frees.items[i], NAN};
  for (size_t i = 0; i < arguments->baselines.count; i++) {
    const char *text = arguments->baselines.items[i], *equals = strchr(text, '=');
    if (!equals || equals == text || !equals[1])
      return error_set(error, EXIT_USAGE_ERROR, "%s: --baseline %s is not of the form COLUMN=CATEGORY", name, text);
    baselines[options->baseline_count++] =
        (struct fit_baseline){arena_copy(arena, text, (size_t)(equals - text)), equals + 1};
  }
  options->fixes = fixes;
  options->baselines = baselines;
  return true;
}

bool fit_arguments_read(const char *name, const struct fit_arguments *arguments, struct arena *arena,
                        struct fit_options *options, struct error *error) {
  if (arguments->bootstrap < -1 || arguments->bootstrap > 1000000)
    return error_set(error, EXIT_USAGE_ERROR, "%s: --bootstrap takes 0 to 1000000 resamples", name);
  if (arguments->threads < 0 || arguments->starts < 0 || arguments->starts > 10000000)
    return error_set(error, EXIT_USAGE_ERROR, "%s: --threads and --starts are not negative (at most 10000000 starts)",
                     name);
  if (arguments->confidence && !(arguments->confidence > 0 && arguments->confidence < 1))
    return error_set(error, EXIT_USAGE_ERROR, "%s: --confidence lies between 0 and 1 (0.95)", name);
  *options = (struct fit_options){.where = arguments->where,
                                  .holdout = arguments->holdout,
                                  .objective = arguments->objective,
                                  .residual = arguments->residual,
                                  .weight = arguments->weight,
                                  .group = arguments->group,
                                  .bootstrap = (int)arguments->bootstrap,
                                  .confidence = arguments->confidence,
                                  .seed = (uint64_t)arguments->seed,
                                  .threads = (int)(arguments->threads > 256 ? 256 : arguments->threads),
                                  .starts = (int)arguments->starts,
                                  .profile_all = arguments->profile_all,
                                  .profiles = (const char *const *)arguments->profiles.items,
                                  .profile_count = arguments->profiles.count};
  if (arguments->interval && !interval_parse(arguments->interval, &options->interval, error))
    return error_context(error, "%s", name);
  options->leave_out = (const char *const *)text_split(arena, arguments->leave_out, ", ", &options->leave_out_count);
  return read_settings(name, arguments, arena, options, error);
}
