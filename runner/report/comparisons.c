// Comparisons that the spec lists: what was found of each, its figure, the pairs.
#include <math.h>
#include <string.h>

#include "runner/report/write.h"

// ---- gathered ----

static void add_figure(struct report *report, const struct report_comparison *comparison) {
  struct arena *arena = &report->arena;
  report->figures =
      arena_grow(arena, report->figures, report->figure_count, report->figure_count + 1, sizeof *report->figures);
  struct report_figure *figure = &report->figures[report->figure_count++];
  *figure = (struct report_figure){.name = "compare", .drawn = true};
  paired_figure(&comparison->result, arena_format(arena, "compare-%s", report_file_stem(arena, comparison->name)),
                arena, &figure->figure);
  figure->figure.title = arena_format(arena, "%s: %s", figure->figure.title, comparison->name);
}

void report_gather_comparisons(struct report *report, struct store *store) {
  const struct spec *spec = report->spec;
  if (!spec || !spec->comparison_count) return;
  report->comparisons = arena_array(&report->arena, spec->comparison_count, sizeof *report->comparisons);
  for (size_t i = 0; i < spec->comparison_count; i++) {
    struct report_comparison *one = &report->comparisons[report->comparison_count++];
    struct paired_request request = paired_request_of(&spec->comparisons[i], report->name);
    struct error trouble = {0};
    *one = (struct report_comparison){.name = spec->comparisons[i].name};
    if (paired_find(&one->result, store, &request, &trouble))
      add_figure(report, one);
    else
      one->trouble = arena_string(&report->arena, trouble.text);
  }
}

// ---- written ----

// Each line as a paragraph.
static void put_lines(struct text *out, struct text *said) {
  struct arena arena = {0};
  for (const char *line = text_string(said); *line;) {
    size_t length = strcspn(line, "\n");
    text_add(out, "<p>");
    markup_escape(out, arena_copy(&arena, line, length));
    text_add(out, "</p>\n");
    line += length + (line[length] != '\0');
  }
  text_clear(said);
  arena_free(&arena);
}

static void put_pairs(const struct paired *paired, struct text *out) {
  bool loss = paired->request.match != MATCH_LOSS, matched = paired->request.match != MATCH_ENDS;
  char words[40];
  text_add(out, "<div class=\"scroll\"><table><thead><tr>");
  page_head(out, "text", "A");
  page_head(out, "text", "B");
  if (matched) page_head(out, NULL, paired_match_names[paired->request.match]);
  struct arena scratch = {0};
  page_head(out, NULL, loss ? arena_format(&scratch, "%s A", paired->compared.brief) : "A needs");
  page_head(out, NULL, loss ? arena_format(&scratch, "%s B", paired->compared.brief) : "B needs");
  arena_free(&scratch);
  page_head(out, NULL, loss ? "B - A" : "B over A, %");
  page_head(out, "text", "shared settings");
  text_add(out, "</tr></thead>\n<tbody>\n");
  for (size_t i = 0; i < paired->count; i++) {
    const struct pair *pair = &paired->pairs[i];
    text_add(out, "<tr>");
    snprintf(words, sizeof words, "%.8s", pair->a ? pair->a : "ladder");
    page_cell(out, "text", words);
    snprintf(words, sizeof words, "%.8s", pair->b);
    page_cell(out, "text", words);
    if (matched) page_cell(out, NULL, loss ? number_human(pair->at, words) : loss_human(pair->at, words));
    page_cell(out, NULL, loss ? loss_human(pair->value_a, words) : number_human(pair->value_a, words));
    page_cell(out, NULL, loss ? loss_human(pair->value_b, words) : number_human(pair->value_b, words));
    page_number(out, loss ? "%+.4f" : "%+.1f", loss ? pair->difference : 100 * expm1(pair->difference));
    page_cell(out, "text wrap", pair->key);
    text_add(out, "</tr>\n");
  }
  text_add(out, "</tbody></table></div>\n");
}

void page_comparisons(const struct report *report, struct text *out) {
  if (!report->comparison_count) return;
  struct text said = {0};
  text_add(out, "<section>\n<h2>Comparisons</h2>\n");
  for (size_t i = 0; i < report->comparison_count; i++) {
    const struct report_comparison *one = &report->comparisons[i];
    text_add(out, "<h3>");
    markup_escape(out, one->name);
    text_add(out, "</h3>\n");
    if (one->trouble) {
      text_format(&said, "Cannot be compared: %s", one->trouble);
      put_lines(out, &said);
      continue;
    }
    paired_say_verdict(&one->result, &said);
    put_lines(out, &said);
    for (int g = 0; g < 2; g++) paired_say_group(&one->result, g, &said);
    paired_say_method(&one->result, &said);
    put_lines(out, &said);
    put_pairs(&one->result, out);
  }
  text_add(out, "</section>\n");
  text_free(&said);
}

void report_json_comparisons(const struct report *report, struct json_writer *json) {
  json_key(json, "comparisons");
  json_array_begin(json);
  for (size_t i = 0; i < report->comparison_count; i++) {
    const struct report_comparison *one = &report->comparisons[i];
    json_object_begin(json);
    json_key_string(json, "name", one->name);
    json_key_string(json, "trouble", one->trouble);
    json_key(json, "comparison");
    if (one->trouble)
      json_put_null(json);
    else
      paired_json(&one->result, json);
    json_object_end(json);
  }
  json_array_end(json);
}
