// isoloss laws: lists and explains the laws that can be fitted.
#include <limits.h>
#include <math.h>
#include <string.h>

#include "runner/commands.h"
#include "runner/fits/internal.h"
#include "runner/terminal/table.h"

// "rho(gmse)"
static const char *definition_head(const struct law_definition *definition, char out[200]) {
  int length = snprintf(out, 200, "%.100s", definition->name);
  for (int a = 0; a < definition->argument_count && length < 150; a++)
    length += snprintf(out + length, 200 - (size_t)length, "%s%.20s", a ? ", " : "(", definition->arguments[a]);
  if (definition->argument_count) snprintf(out + length, 200 - (size_t)length, ")");
  return out;
}

// Definitions, stages and derived quantities.
static void json_law_parts(const struct law *law, struct json_writer *writer) {
  char head[200];
  json_key(writer, "definitions");
  json_array_begin(writer);
  for (int i = 0; i < law->definition_count; i++) {
    json_object_begin(writer);
    json_key_string(writer, "name", definition_head(&law->definitions[i], head));
    json_key_string(writer, "formula", law->definitions[i].expression->source);
    json_object_end(writer);
  }
  json_array_end(writer);
  json_key(writer, "stages");
  json_array_begin(writer);
  for (int i = 0; i < law->stage_count; i++) {
    json_object_begin(writer);
    json_key_string(writer, "name", law->stages[i].name);
    json_key_string(writer, "where", law->stages[i].where);
    json_key(writer, "free");
    json_array_begin(writer);
    for (int f = 0; f < law->stages[i].free_count; f++) json_put_string(writer, law->stages[i].free[f]);
    json_array_end(writer);
    json_object_end(writer);
  }
  json_array_end(writer);
  json_key(writer, "derived");
  json_array_begin(writer);
  for (int i = 0; i < law->derived_count; i++) {
    json_object_begin(writer);
    json_key_string(writer, "name", law->derived[i].name);
    json_key_string(writer, "formula", law->derived[i].text);
    json_key_string(writer, "about", law->derived[i].about);
    json_key_string(writer, "at", law->derived[i].at);
    json_key_string(writer, "column", law->derived[i].column);
    json_object_end(writer);
  }
  json_array_end(writer);
}

static void json_law(const struct law *law, struct json_writer *writer) {
  char objective[OBJECTIVE_TEXT];
  objective_text(law->objective, objective);
  json_object_begin(writer);
  json_key_string(writer, "name", law->name);
  json_key_string(writer, "about", law->about);
  json_key_string(writer, "source", law->source);
  if (law->note) json_key_string(writer, "note", law->note);
  json_key_string(writer, "formula", law->formula_text);
  json_key_string(writer, "predicts", law->target);
  json_key_string(writer, "residual_kind", law->residual == RESIDUAL_LOG ? "log" : "plain");
  json_key_string(writer, "objective_kind", objective);
  json_key_string(writer, "file", law->path);
  json_key(writer, "columns");
  json_array_begin(writer);
  for (int i = 0; i < law->column_count; i++) json_put_string(writer, law->columns[i]);
  json_array_end(writer);
  json_key(writer, "parameters");
  json_array_begin(writer);
  for (int i = 0; i < law->parameter_count; i++) {
    const struct law_parameter *parameter = &law->parameters[i];
    json_object_begin(writer);
    json_key_string(writer, "name", parameter->name);
    json_key_string(writer, "about", parameter->about);
    json_key_boolean(writer, "positive", parameter->positive);
    json_key_number(writer, "low", parameter->low);
    json_key_number(writer, "high", parameter->high);
    json_key_string(writer, "by", parameter->by);
    json_key_number(writer, "fixed", parameter->fixed ? parameter->fixed_value : NAN);
    json_key_string(writer, "tied", parameter->tied ? parameter->tied->source : NULL);
    json_key_integer(writer, "starts", parameter->start_count);
    json_key(writer, "baseline");
    json_array_begin(writer);
    for (int b = 0; b < parameter->baseline_count; b++) json_put_string(writer, parameter->baselines[b]);
    json_array_end(writer);
    json_object_end(writer);
  }
  json_array_end(writer);
  json_law_parts(law, writer);
  json_object_end(writer);
}

static void print_list(const char *title, struct text_table *list) {
  if (list->cell_count) {
    printf("  %s:\n", title);
    text_table_print(list, stdout);
  }
  text_table_free(list);
}

static void print_columns(const struct law *law) {
  printf("  Columns:");
  for (int i = 0; i < law->column_count; i++) {
    const char *column = law->columns[i];
    printf("%s %s%s", i ? "," : "", column,
           strcmp(column, "parameters") == 0 ? " (N)"
           : strcmp(column, "tokens") == 0   ? " (D)"
           : strcmp(column, "flops") == 0    ? " (C)"
                                             : "");
  }
  printf("\n");
}

static void print_definitions(const struct law *law) {
  struct text_table list = text_list(4, 20);
  char head[200];
  for (int i = 0; i < law->definition_count; i++) {
    text_table_cell(&list, "%s", definition_head(&law->definitions[i], head));
    text_table_cell(&list, "= %s", law->definitions[i].expression->source);
  }
  print_list("Definitions", &list);
}

// What holds a parameter, and what it is.
static const char *parameter_text(const struct law_parameter *p, struct text *text) {
  text_clear(text);
  if (p->tied) text_format(text, "= %s; ", p->tied->source);
  if (p->fixed) text_format(text, "held at %g; ", p->fixed_value);
  if (p->positive) text_add(text, "positive; ");
  if (p->low > 0 || (!p->positive && p->low > -INFINITY)) text_format(text, "from %g; ", p->low);
  if (p->high < INFINITY) text_format(text, "up to %g; ", p->high);
  if (p->by && p->baseline_count) text_format(text, "1 for %s = %s; ", p->by, p->baselines[0]);
  text_add(text, p->about ? p->about : "");
  return text_string(text);
}

static void print_parameters(const struct law *law) {
  struct text_table list = text_list(4, 20);
  struct text text = {0};
  for (int i = 0; i < law->parameter_count; i++) {
    const struct law_parameter *p = &law->parameters[i];
    text_table_cell(&list, "%s%s%s%s", p->name, p->by ? "[" : "", p->by ? p->by : "", p->by ? "]" : "");
    text_table_cell(&list, "%s", parameter_text(p, &text));
  }
  text_free(&text);
  print_list("Parameters", &list);
}

static void print_stages(const struct law *law) {
  struct text_table list = text_list(4, 20);
  struct text text = {0};
  for (int i = 0; i < law->stage_count && (law->stages[0].where || law->stage_count > 1); i++) {
    text_clear(&text);
    for (int f = 0; f < law->stages[i].free_count; f++)
      text_format(&text, "%s%s", f ? ", " : "", law->stages[i].free[f]);
    text_table_cell(&list, "%s", law->stages[i].name);
    text_table_cell(&list, "%s  where %s", text_string(&text),
                    law->stages[i].where ? law->stages[i].where : "every row");
  }
  text_free(&text);
  print_list("Stages", &list);
}

static void print_derived(const struct law *law) {
  struct text_table list = text_list(4, 20);
  for (int i = 0; i < law->derived_count; i++) {
    const struct law_derived *d = &law->derived[i];
    text_table_cell(&list, "%s", d->name);
    text_table_cell(&list, "= %s%s%s%s%s", d->text, d->at ? ", at " : "", d->at ? d->at : "", d->about ? "; " : "",
                    d->about ? d->about : "");
  }
  print_list("Derived", &list);
}

static void explain(const struct law *law) {
  char objective[OBJECTIVE_TEXT];
  objective_text(law->objective, objective);
  printf("%s\n\n  %s = %s\n\n", law->name, law->target, law->formula_text);
  if (law->about) print_filled(stdout, law->about, printf("  "), 5);
  if (law->source) print_filled(stdout, law->source, printf("  Source: "), 6);
  if (law->note) print_filled(stdout, law->note, printf("  Note: "), 6);
  printf("  Fitted: %s on %s of %s\n", objective, law->residual == RESIDUAL_LOG ? "the logarithm" : "the value",
         law->target);
  print_columns(law);
  print_definitions(law);
  print_parameters(law);
  print_stages(law);
  print_derived(law);
  printf("  File: %s\n", law->path);
}

static bool show(const char *const *names, size_t count, bool json, bool details, struct error *error) {
  struct text text = {0};
  struct json_writer writer = json_writer(&text, false);
  struct text_table list = text_list(0, 24);
  bool fine = true;
  if (json) json_array_begin(&writer);
  for (size_t i = 0; i < count && fine; i++) {
    struct law law;
    fine = law_open(&law, names[i], error);
    if (fine && json)
      json_law(&law, &writer);
    else if (fine && details)
      explain(&law);
    else if (fine) {
      text_table_cell(&list, "%s", law.name);
      text_table_cell(&list, "%s = %s", law.target, law.formula_text);
    }
    law_free(&law);
  }
  if (json) json_array_end(&writer);
  if (fine && json) printf("%s\n", text_string(&text));
  if (list.cell_count) text_table_print(&list, stdout);  // those before one that cannot be read, too
  text_table_free(&list);
  text_free(&text);
  return fine;
}

void command_laws(struct command_line *line) {
  bool json = false;
  const struct option options[] = {{"json", 0, OPTION_FLAG, &json, NULL, "one JSON document on standard output"}, {0}};
  const struct command_usage usage = {
      "isoloss laws [NAME...] [--json]",
      "Without a name, lists the laws that ship; with names (or your own files), explains them: formula, source, columns,\n"
      "parameters with bounds, stages, derived quantities.",
      0, INT_MAX, "names of laws"};
  if (!command_begin(line, &usage, options)) return;
  const char **names = line->arguments;
  size_t count = (size_t)line->count;
  if (count || law_names(&line->arena, &names, &count, &line->error))
    show(names, count, json, line->count > 0, &line->error);
}
