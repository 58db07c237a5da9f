// isoloss reproduce: a run of the store, trained once more and compared.
#include "runner/execute/reproduce.h"

#include <math.h>
#include <stdio.h>

#include "runner/commands.h"

// ---- for people ----

static const char *number_or_none(double number, char text[32]) {
  if (isnan(number)) return "none";
  number_shortest(number, text);
  return text;
}

static void print_losses(const struct reproduction *r) {
  char before[32], now[32], largest[32];
  if (r->diverged_before || r->diverged_now) {
    printf("%s\n", r->diverged_before && r->diverged_now ? "it diverged both times"
                   : r->diverged_now                     ? "it diverged now, and did not in the store"
                                                         : "it did not diverge now, and did in the store");
  } else if (isnan(r->loss_before) && isnan(r->loss_now)) {
    printf("it has no loss\n");
  } else if (r->loss_before == r->loss_now) {
    number_shortest(r->loss_now, now);
    printf("loss %s, the same to the last bit\n", now);
  } else {
    printf("loss %s, and %s in the store", number_or_none(r->loss_now, now), number_or_none(r->loss_before, before));
    if (!isnan(r->loss_now) && !isnan(r->loss_before))
      printf(": a difference of %s", number_digits(r->loss_now - r->loss_before, 2, largest));
    printf("\n");
  }
  if (r->points + r->only_before + r->only_now == 0) return;
  printf("curve: %zu of %zu losses the same to the last bit", r->same, r->points);
  if (r->first_kind) {
    number_shortest(r->first_before, before);
    number_shortest(r->first_now, now);
    printf("; the first that differs is %s after step %lld, %s and %s in the store; the largest difference is %s",
           r->first_kind, (long long)r->first_step, now, before, number_digits(r->largest, 2, largest));
  }
  printf("\n");
  if (r->only_before) printf("%zu points are in the store alone\n", r->only_before);
  if (r->only_now) printf("%zu points are new\n", r->only_now);
}

static void print_people(const struct reproduction *r, const char *kept) {
  char before[32], now[32];
  printf("%s: %s\n", r->id, reproduction_same(r) ? "reproduced" : "not reproduced");
  print_losses(r);
  if (r->results_same) printf("other results: %zu the same to the last bit\n", r->results_same);
  for (size_t i = 0; i < r->result_count; i++)
    printf("%s: %s, and %s in the store\n", r->results[i].column, number_or_none(r->results[i].now, now),
           number_or_none(r->results[i].before, before));
  if (r->measured_count) printf("measured on the machine, not compared\n");
  for (size_t i = 0; i < r->measured_count; i++)
    printf("  %s: %s, and %s in the store\n", r->measured[i].column, number_or_none(r->measured[i].now, now),
           number_or_none(r->measured[i].before, before));
  if (r->circumstance_count) printf("trained under other circumstances\n");
  for (size_t i = 0; i < r->circumstance_count; i++)
    printf("  %s: %s, and then %s\n", r->circumstances[i].column, r->circumstances[i].now, r->circumstances[i].before);
  if (!reproduction_same(r) && r->circumstance_count == 0)
    printf("nothing that the store knows of machine and trainer differs\n");
  if (kept) printf("its files are in %s\n", kept);
}

// ---- for scripts ----

static void put_numbers(struct json_writer *json, const char *key, const struct reproduced_number *numbers,
                        size_t count) {
  json_key(json, key);
  json_array_begin(json);
  for (size_t i = 0; i < count; i++) {
    json_object_begin(json);
    json_key_string(json, "column", numbers[i].column);
    json_key_number(json, "value", numbers[i].now);
    json_key_number(json, "stored", numbers[i].before);
    json_object_end(json);
  }
  json_array_end(json);
}

static void print_json(const struct reproduction *r) {
  struct text text = {0};
  struct json_writer json = json_writer(&text, true);
  json_object_begin(&json);
  json_key_string(&json, "run", r->id);
  json_key_boolean(&json, "reproduced", reproduction_same(r));
  json_key_integer(&json, "chain", (int64_t)r->chain);
  json_key_number(&json, "loss", r->loss_now);
  json_key_number(&json, "stored_loss", r->loss_before);
  json_key_boolean(&json, "diverged", r->diverged_now);
  json_key_boolean(&json, "stored_diverged", r->diverged_before);
  json_key_integer(&json, "points", (int64_t)r->points);
  json_key_integer(&json, "points_same", (int64_t)r->same);
  json_key_integer(&json, "points_only_stored", (int64_t)r->only_before);
  json_key_integer(&json, "points_only_new", (int64_t)r->only_now);
  json_key_number(&json, "largest_difference", r->largest);
  json_key(&json, "first_difference");
  if (r->first_kind) {
    json_object_begin(&json);
    json_key_string(&json, "kind", r->first_kind);
    json_key_integer(&json, "step", r->first_step);
    json_key_number(&json, "loss", r->first_now);
    json_key_number(&json, "stored_loss", r->first_before);
    json_object_end(&json);
  } else {
    json_put_null(&json);
  }
  json_key_integer(&json, "results_same", (int64_t)r->results_same);
  put_numbers(&json, "results_different", r->results, r->result_count);
  put_numbers(&json, "measured", r->measured, r->measured_count);
  json_key(&json, "circumstances_different");
  json_array_begin(&json);
  for (size_t i = 0; i < r->circumstance_count; i++) {
    json_object_begin(&json);
    json_key_string(&json, "column", r->circumstances[i].column);
    json_key_string(&json, "value", r->circumstances[i].now);
    json_key_string(&json, "stored", r->circumstances[i].before);
    json_object_end(&json);
  }
  json_array_end(&json);
  json_object_end(&json);
  text_char(&text, '\n');
  fwrite(text.bytes, 1, text.length, stdout);
  text_free(&text);
}

static bool find_run(const char *prefix, struct arena *arena, char **id, struct error *error) {
  struct store *store = store_open_home(STORE_READ, error);
  *id = store ? store_run_find(store, arena, prefix, error) : NULL;
  store_close(store);
  return *id != NULL;
}

void command_reproduce(struct command_line *line) {
  const char *keep = NULL;
  bool json = false, quiet = false;
  const struct option options[] = {
      {"keep", 0, OPTION_TEXT, &keep, "FOLDER", "train there and leave its files; it must not be there yet"},
      {"json", 0, OPTION_FLAG, &json, NULL, "print one JSON document"},
      {"quiet", 'q', OPTION_FLAG, &quiet, NULL, "no progress"},
      {0}};
  const struct command_usage usage = {
      "isoloss reproduce RUN [--keep FOLDER] [--json]",
      "Trains a finished run once more, with all that it follows, in a home of its own, and compares losses and results to\n"
      "the last bit with those of the store, which stays as it is; results of stages and tasks too, but for times, rates,\n"
      "memory and energy. What differs in device, library, instruction set, threads or trainer is said. Exit code 0 when all is the same, 1 when it is not. It takes as long as the run took.",
      1, 1, "one run"};
  char *id;
  struct reproduction result;
  if (!command_begin(line, &usage, options)) return;
  if (!store_exists_home()) {
    error_set(&line->error, EXIT_ENVIRONMENT, "nothing has run yet: there is no database in %s",
              isoloss_home(&line->arena));
    return;
  }
  if (!find_run(line->arguments[0], &line->arena, &id, &line->error)) return;
  if (keep && file_exists(keep)) {
    error_set(&line->error, EXIT_USAGE_ERROR, "%s is there already: remove it first, or give another name", keep);
    return;
  }
  // Without a name the folder is removed again.
  char *home =
      keep ? path_canonical(&line->arena, keep) : folder_temporary(&line->arena, "isoloss-reproduce", &line->error);
  if (!home) return;
  if (reproduce_run(id, home, quiet || json, &result, &line->error)) {
    line->code = reproduction_same(&result) ? EXIT_DONE : EXIT_RUNS_FAILED;
    if (json)
      print_json(&result);
    else
      print_people(&result, keep);
  }
  struct error left = {0};
  if (!keep && !folder_remove(home, &left)) fprintf(stderr, "warning: %s\n", left.text);
  reproduction_free(&result);
}
