// A comparison of two groups of runs for people, as JSON, as a figure. See paired.h.
#include <math.h>
#include <string.h>

#include "base/terminal.h"
#include "plots/plot_paired.h"
#include "runner/fits/paired.h"
#include "runner/terminal/table.h"

static bool of_loss(const struct paired *paired) { return paired->request.match != MATCH_LOSS; }

static double percent(double logarithm) { return 100 * expm1(logarithm); }

// ---- for people ----

void paired_say_group(const struct paired *paired, int g, struct text *out) {
  const struct paired_group *group = &paired->groups[g];
  struct arena scratch = {0};
  char number[40];
  text_format(out, "%c  %s: %zu run%s", "AB"[g], visible(&scratch, group->name), group -> count,
              group -> count == 1 ? "" : "s");
  for (enum run_state s = 0; s < RUN_STATES; s++)
    if (group->states[s]) text_format(out, ", %zu %s", group->states[s], run_state_name(s));
  if (group->without_loss) text_format(out, " (%zu without a loss)", group->without_loss);
  if (isfinite(group->seed_noise))
    text_format(out, "; seed noise %s%s (%zu degree%s of freedom)", number_digits(group->seed_noise, 2, number),
                measure_behind(&paired->compared, &scratch), group->noise_degrees,
                group->noise_degrees == 1 ? "" : "s");
  else
    text_format(out, "; seed noise not known: no two runs differ in the seed alone");
  text_format(out, "\n");
  if (group->no_partner)
    text_format(out, "   not paired: %zu, the other has none of these settings\n", group->no_partner);
  if (group->partner_unfinished)
    text_format(out, "   not paired: %zu, whose partners failed, diverged or are not done\n",
                group->partner_unfinished);
  if (group->alike)
    text_format(out, "   not paired: %zu, several runs are alike in all shared settings\n", group->alike);
  arena_free(&scratch);
}

static void print_settings(const struct paired *paired, enum paired_role role, const char *head, FILE *out) {
  struct text text = {0};
  for (size_t i = 0; i < paired->name_count; i++) {
    if (paired->roles[i] != role) continue;
    text_format(&text, "%s%s", text.length ? ", " : "", paired->names[i]);
    // What is compared, where it is one value against another.
    const struct paired_run *a = paired->groups[0].runs, *b = paired->groups[1].runs;
    bool one = role == ROLE_DIFFERENT;
    for (int g = 0; g < 2; g++)
      for (size_t r = 1; r < paired->groups[g].count && one; r++)
        one = strcmp(paired->groups[g].runs[r].settings[i], paired->groups[g].runs[0].settings[i]) == 0;
    if (one) text_format(&text, " (%s | %s)", a->settings[i], b->settings[i]);
  }
  if (text.length) print_filled(out, text_string(&text), fprintf(out, "%s: ", head), 4);
  text_free(&text);
}

void paired_say_method(const struct paired *paired, struct text *out) {
  const struct paired_request *request = &paired->request;
  const char *matched = request->match == MATCH_ENDS ? NULL : paired_match_names[request->match];
  if (!matched) {
    text_format(out, "compared: losses at the runs' ends\n");
    return;
  }
  text_format(
      out, "compared at matched %s, along %s: %s; between neighbours linear in its logarithm, nothing extrapolated\n",
      matched, request->along == ALONG_LADDERS ? "each group's ladder of sizes and lengths" : "the runs' curves",
      of_loss(paired) ? "losses" : paired_match_names[request->measure]);
  if (request->along == ALONG_CURVES)
    text_format(
        out,
        "  (a point of a curve may be from before its learning rate fell: it is no run of that length by itself)\n");
  if (paired->outside)
    text_format(out, "  left out: %zu comparison%s outside of the other's range\n", paired->outside,
                paired->outside == 1 ? "" : "s");
  if (paired->no_curve)
    text_format(out, "  left out: %zu pair%s without two evaluations or without that quantity\n", paired->no_curve,
                paired->no_curve == 1 ? "" : "s");
}

static void print_pairs(const struct paired *paired, FILE *out) {
  enum { MOST = 40 };
  struct text_table table = {.gap = 2, .indent = 2};
  bool loss = of_loss(paired), matched = paired->request.match != MATCH_ENDS;
  char text[40];
  text_table_column(&table, (struct text_column){"A"});
  text_table_column(&table, (struct text_column){"B"});
  if (matched)
    text_table_column(&table, (struct text_column){paired_match_names[paired->request.match], .right = true});
  const char *brief = paired->compared.brief;
  struct arena scratch = {0};
  text_table_column(&table,
                    (struct text_column){loss ? arena_format(&scratch, "%s A", brief) : "A needs", .right = true});
  text_table_column(&table,
                    (struct text_column){loss ? arena_format(&scratch, "%s B", brief) : "B needs", .right = true});
  text_table_column(&table, (struct text_column){loss ? "B - A" : "B over A", .right = true});
  text_table_column(&table, (struct text_column){"shared settings", .most = 70});
  for (size_t i = 0; i < paired->count && i < MOST; i++) {
    const struct pair *pair = &paired->pairs[i];
    text_table_cell(&table, "%.8s", pair->a ? pair->a : "(ladder)");
    text_table_cell(&table, "%.8s", pair->b);
    if (matched) text_table_cell(&table, "%s", loss ? number_human(pair->at, text) : loss_human(pair->at, text));
    text_table_cell(&table, "%s", loss ? loss_human(pair->value_a, text) : number_human(pair->value_a, text));
    text_table_cell(&table, "%s", loss ? loss_human(pair->value_b, text) : number_human(pair->value_b, text));
    if (loss)
      text_table_cell(&table, "%+.4f", pair->difference);
    else
      text_table_cell(&table, "%+.1f %%", percent(pair->difference));
    text_table_cell(&table, "%s", pair->key);
  }
  text_table_print(&table, out);
  text_table_free(&table);
  arena_free(&scratch);
  if (paired->count > MOST) fprintf(out, "  and %zu more (--json has all)\n", paired->count - MOST);
}

void paired_say_verdict(const struct paired *paired, struct text *out) {
  bool loss = of_loss(paired);
  bool cells = paired->request.match != MATCH_ENDS && paired->request.along == ALONG_LADDERS;
  struct arena scratch = {0};
  if (loss)
    text_format(out, "B - A: %+.4f%s", paired->mean, measure_behind(&paired->compared, &scratch));
  else
    text_format(out, "B needs %+.1f %% of A's %s", percent(paired->mean), paired_match_names[paired->request.measure]);
  arena_free(&scratch);
  text_format(out, ", mean over %zu %s", paired->units, cells ? "ladders" : "pairs");
  if (isfinite(paired->low) && loss)
    text_format(out, " (95 %% interval by Student's t %+.4f to %+.4f)", paired->low, paired->high);
  else if (isfinite(paired->low))
    text_format(out, " (95 %% interval by Student's t of the logarithm %+.1f %% to %+.1f %%)", percent(paired->low),
                percent(paired->high));
  if (paired->alike) text_format(out, " (%s)", paired->alike);
  text_format(out, "\n");
  if (isfinite(paired->p))
    text_format(out, "p = %.2g, two-sided, by %s over %zu units\n", paired->p, paired->p_method, paired->units);
  else
    text_format(out, "p: %s\n", paired->p_method);
  double noise = fmax(paired->groups[0].seed_noise, paired->groups[1].seed_noise);
  if (loss && noise > 0)
    text_format(out, "in units of the larger seed noise: %+.2g for one pair on the average\n", paired->mean / noise);
}

static void print_text(struct text *said, FILE *out) {
  fwrite(text_string(said), 1, said->length, out);
  text_clear(said);
}

void paired_print(const struct paired *paired, FILE *out) {
  struct text said = {0};
  for (int g = 0; g < 2; g++) paired_say_group(paired, g, &said);
  print_text(&said, out);
  print_settings(paired, ROLE_DIFFERENT, "different (A | B)", out);
  print_settings(paired, ROLE_SHARED, "paired on", out);
  print_settings(paired, ROLE_IMPLIED, "which imply, in these runs", out);
  print_settings(paired, ROLE_AVERAGED, "averaged over, since the groups have none in common", out);
  print_settings(paired, ROLE_IGNORED, "ignored", out);
  paired_say_method(paired, &said);
  print_text(&said, out);
  print_pairs(paired, out);
  paired_say_verdict(paired, &said);
  print_text(&said, out);
  text_free(&said);
}

// ---- for scripts ----

static void put_group(const struct paired_group *group, struct json_writer *json) {
  json_object_begin(json);
  json_key_string(json, "name", group->name);
  json_key_integer(json, "runs", (int64_t)group->count);
  for (enum run_state s = 0; s < RUN_STATES; s++) json_key_integer(json, run_state_name(s), (int64_t)group->states[s]);
  json_key_integer(json, "without_loss", (int64_t)group->without_loss);
  json_key_integer(json, "no_partner", (int64_t)group->no_partner);
  json_key_integer(json, "partner_unfinished", (int64_t)group->partner_unfinished);
  json_key_integer(json, "alike", (int64_t)group->alike);
  json_key_number(json, "seed_noise", group->seed_noise);
  json_key_integer(json, "seed_noise_degrees", (int64_t)group->noise_degrees);
  json_object_end(json);
}

static void put_settings(const struct paired *paired, enum paired_role role, const char *key,
                         struct json_writer *json) {
  json_key(json, key);
  json_array_begin(json);
  for (size_t i = 0; i < paired->name_count; i++)
    if (paired->roles[i] == role) json_put_string(json, paired->names[i]);
  json_array_end(json);
}

static void put_pair(const struct pair *pair, struct json_writer *json) {
  json_object_begin(json);
  json_key_string(json, "a", pair->a);
  json_key_string(json, "b", pair->b);
  json_key_string(json, "shared", pair->key);
  json_key_number(json, "at", pair->at);
  json_key_number(json, "value_a", pair->value_a);
  json_key_number(json, "value_b", pair->value_b);
  json_key_number(json, "difference", pair->difference);
  json_object_end(json);
}

void paired_json(const struct paired *paired, struct json_writer *json) {
  const struct paired_request *request = &paired->request;
  bool matched = request->match != MATCH_ENDS;
  json_object_begin(json);
  json_key(json, "groups");
  json_array_begin(json);
  for (int g = 0; g < 2; g++) put_group(&paired->groups[g], json);
  json_array_end(json);
  put_settings(paired, ROLE_DIFFERENT, "different", json);
  put_settings(paired, ROLE_SHARED, "paired_on", json);
  put_settings(paired, ROLE_IMPLIED, "implied", json);
  put_settings(paired, ROLE_AVERAGED, "averaged", json);
  put_settings(paired, ROLE_IGNORED, "ignored", json);
  json_key_string(json, "match_on", matched ? paired_match_names[request->match] : NULL);
  json_key_string(json, "match_along", matched ? request->along == ALONG_LADDERS ? "ladders" : "curves" : NULL);
  json_key_string(json, "compared", of_loss(paired) ? "loss" : paired_match_names[request->measure]);
  json_key_string(json, "difference", of_loss(paired) ? "b - a" : "ln(b / a)");
  json_key_string(json, "unit", paired->compared.unit);
  json_key_string(json, "matched_unit", matched ? paired->matched.unit : NULL);
  json_key_integer(json, "outside", (int64_t)paired->outside);
  json_key_integer(json, "no_curve", (int64_t)paired->no_curve);
  json_key(json, "pairs");
  json_array_begin(json);
  for (size_t i = 0; i < paired->count; i++) put_pair(&paired->pairs[i], json);
  json_array_end(json);
  json_key_integer(json, "units", (int64_t)paired->units);
  json_key_number(json, "mean", paired->mean);
  json_key_number(json, "deviation", paired->deviation);
  json_key_number(json, "low", paired->low);
  json_key_number(json, "high", paired->high);
  if (paired->alike) json_key_string(json, "alike", paired->alike);
  json_key_number(json, "p", paired->p);
  json_key_string(json, "p_method", paired->p_method);
  json_object_end(json);
}

// ---- the figure ----

void paired_figure(const struct paired *paired, const char *name, struct arena *arena, struct figure *figure) {
  double *difference = arena_array(arena, paired->count, sizeof *difference),
         *x = arena_array(arena, paired->count, sizeof *x);
  struct plot_paired *data = arena_alloc(arena, sizeof *data);
  bool loss = of_loss(paired), matched = paired->request.match != MATCH_ENDS && loss;
  for (size_t i = 0; i < paired->count; i++) {
    difference[i] = loss ? paired->pairs[i].difference : percent(paired->pairs[i].difference);
    x[i] = paired->pairs[i].at;
  }
  *data = (struct plot_paired){
      .a = paired->groups[0].name,
      .b = paired->groups[1].name,
      .count = paired->count,
      .x = matched ? x : NULL,
      .x_label = matched ? arena_format(arena, "matched %s", paired->matched.name) : NULL,
      .x_unit = matched ? paired->matched.unit : NULL,
      .ticks = paired->request.match == MATCH_FLOPS ? TICKS_POWER : TICKS_COUNT,
      .difference = difference,
      .percent = !loss,
      .y_label = loss ? arena_format(arena, "%s of B less %s of A", paired->compared.brief, paired->compared.brief)
                      : arena_format(arena, "%s that B needs more than A", paired->compared.brief),
      .y_unit = paired->compared.unit,
      .mean = loss ? paired->mean : percent(paired->mean),
      .low = loss ? paired->low : percent(paired->low),
      .high = loss ? paired->high : percent(paired->high),
  };
  plot_paired(arena, data, figure);
  figure->name = name;
}

bool paired_draw(const struct paired *paired, const char *name, const char *folder, struct error *error) {
  struct arena arena = {0};
  struct figure figure;
  paired_figure(paired, name, &arena, &figure);
  bool fine = folder_make(folder, error) && figure_write(&figure, folder, error);
  if (fine) fprintf(stderr, "wrote %s/%s.svg\n", folder, figure.name);
  arena_free(&arena);
  return fine;
}
