// What designs say: for people, and as JSON.
#include <string.h>

#include "base/options.h"
#include "runner/fits/design.h"
#include "runner/fits/design_print.h"

// The designs of one fit, one a spec; 0 when not all specs have it with the same coefficients.
static size_t same_fit(const struct designs *designs, const char *fit, struct design_result *results) {
  size_t count = 0;
  for (size_t m = 0; m < designs->made_count; m++)
    if (strcmp(designs->made[m].fit, fit) == 0 && designs->made[m].spec == count && count < DESIGN_LIMIT)
      results[count++] = designs->made[m].result;
  if (count != designs->spec_count || count < 2) return 0;
  for (size_t i = 1; i < count; i++) {
    if (results[i].coefficient_count != results[0].coefficient_count) return 0;
    for (size_t q = 0; q < results[0].coefficient_count; q++)
      if (strcmp(results[i].quantities[q].name, results[0].quantities[q].name) != 0) return 0;
  }
  return count;
}

// isoloss run SPEC with the choices that the spec was opened with.
static const char *call_of(const struct designs *designs, size_t number, struct arena *arena) {
  const struct design_request *request = designs->request;
  const struct spec_choices *choices = &request->choices;

  const char **words = arena_array(arena, 2 * choices->set.count + 8, sizeof *words);
  size_t count = 0, variant = number % (request->variants.count + 1);
  words[count++] = designs->specs[number].selection.spec.path;
  for (size_t i = 0; i < choices->set.count; i++) {
    words[count++] = "--set";
    words[count++] = choices->set.items[i];
  }
  if (variant) {
    words[count++] = "--set";
    words[count++] = request->variants.items[variant - 1];
  }
  if (choices->preset) {
    words[count++] = "--preset";
    words[count++] = choices->preset;
  }
  return command_for_shell(arena, "isoloss run", words, count);
}

void designs_print(const struct designs *designs, FILE *out) {
  struct design_result results[DESIGN_LIMIT];
  struct arena arena = {0};
  size_t shown = SIZE_MAX;
  for (size_t m = 0; m < designs->made_count; m++) {
    const struct design_made *made = &designs->made[m];
    if (made->spec != shown) {
      fputs(m ? "\n" : "", out);
      design_print_cost(&designs->specs[made->spec], out);
      shown = made->spec;
    }
    if (designs->request->next.asked) {
      design_print_head(&made->result, made->fit, &made->truth, made->noise_source, out);
      next_runs_print(&made->next, call_of(designs, made->spec, &arena), out);
    } else {
      design_print(&made->result, made->fit, &made->truth, made->noise_source, designs->request->target, out);
    }
    if (made->left_out) fprintf(out, "  without the %s of the entry: by the runs alone\n", made->left_out);
  }
  for (size_t m = 0; m < designs->made_count && designs->made[m].spec == 0; m++) {
    size_t count = same_fit(designs, designs->made[m].fit, results);
    if (!count) continue;
    fprintf(out, "\nfit %s: ", designs->made[m].fit);
    design_print_comparison(results, designs->specs, count, out);
  }
  arena_free(&arena);
}

static void put_comparison(const struct designs *designs, size_t first, struct json_writer *writer) {
  struct design_result results[DESIGN_LIMIT];
  size_t count = same_fit(designs, designs->made[first].fit, results);
  if (!count) return;
  json_object_begin(writer);
  json_key_string(writer, "fit", designs->made[first].fit);
  json_key(writer, "best");
  json_object_begin(writer);
  for (size_t q = 0; q < results[0].quantity_count; q++) {
    double error;
    int best = design_best_of(results, count, results[0].quantities[q].name, &error);
    json_key_string(writer, results[0].quantities[q].name, best < 0 ? NULL : designs->specs[best].label);
  }
  json_object_end(writer);
  int best = design_best_overall(results, count);
  json_key_string(writer, "best_overall", best < 0 ? NULL : designs->specs[best].label);
  json_object_end(writer);
}

void designs_json(const struct designs *designs, struct json_writer *writer) {
  struct arena arena = {0};
  json_object_begin(writer);
  json_key(writer, "designs");
  json_array_begin(writer);
  for (size_t m = 0; m < designs->made_count; m++) {
    const struct design_made *made = &designs->made[m];
    const struct design_cost *cost = &designs->specs[made->spec].cost;
    json_object_begin(writer);
    json_key_string(writer, "spec", designs->specs[made->spec].label);
    json_key_string(writer, "fit", made->fit);
    json_key_string(writer, "assumed", made->truth.source);
    json_key_string(writer, "noise_source", made->noise_source);
    if (made->left_out) json_key_string(writer, "left_out", made->left_out);
    json_key_integer(writer, "runs", (int64_t)cost->runs);
    json_key_number(writer, "flops", cost->flops);
    json_key_number(writer, "seconds", cost->seconds);
    design_json(&made->result, writer);
    if (designs->request->next.asked) next_runs_json(&made->next, call_of(designs, made->spec, &arena), writer);
    json_object_end(writer);
  }
  json_array_end(writer);
  json_key(writer, "comparison");
  json_array_begin(writer);
  for (size_t m = 0; m < designs->made_count && designs->made[m].spec == 0; m++) put_comparison(designs, m, writer);
  json_array_end(writer);
  json_object_end(writer);
  arena_free(&arena);
}
