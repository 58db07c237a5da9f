// YAML documents: trees, places, typed reads; and input that is built to hurt.
#include <stdlib.h>

#include "base/base.h"
#include "tests/check.h"

static struct arena arena;
static struct diagnostics diagnostics;

static struct node *parse(const char *text) {
  diagnostics_free(&diagnostics);
  arena_free(&arena);
  return document_parse(&arena, "t.yaml", text, strlen(text), &diagnostics);
}

// The only diagnostic's message, or what there is instead.
static const char *complaint(void) {
  if (diagnostics.count != 1) return arena_format(&arena, "%zu diagnostics", diagnostics.count);
  const struct diagnostic *d = &diagnostics.items[0];
  return arena_format(&arena, "%d:%d %s", d->line, d->column, d->message);
}

static void places(void) {
  struct node *root = parse("a: 1\nb:\n  - x\n  - {c: 'y', d: \"z\"}\n");
  if (!CHECK(root && root->kind == NODE_MAPPING && root->count == 2)) return;
  CHECK_TEXT(root->keys[1]->text, "b");
  struct node *list = node_find(root, "b");
  CHECK(list->kind == NODE_SEQUENCE && list->count == 2 && list->line == 3 && list->column == 3);
  struct node *d = node_find(list->items[1], "d");
  CHECK(d->line == 4 && d->column == 17 && d->quoted);
  CHECK_TEXT(d->text, "z");
  CHECK_TEXT(d->file, "t.yaml");
  CHECK(!node_find(root, "c") && !node_find(d, "a") && !node_find(NULL, "a"));
}

static void byte_order_mark(void) {
  struct node *root = parse(
      "\xEF\xBB\xBF"
      "a: 1\nb: 2\n");
  if (!CHECK(root && root->kind == NODE_MAPPING && root->count == 2)) return;
  CHECK(node_find(root, "a")->line == 1 && node_find(root, "a")->column == 4);
  CHECK_TEXT(root->keys[0]->text, "a");
  CHECK(parse("\xEF\xBB\xBF") == NULL || diagnostics.errors == 0);
}

static void columns_count_characters(void) {
  struct node *root = parse("{\"\xc3\xa4\xf0\x9f\x98\x80\": 1, b: 2}\n");
  if (!CHECK(root)) return;
  CHECK(root->keys[1]->line == 1 && root->keys[1]->column == 11);
}

static void scalars(void) {
  struct node *root = parse(
      "[7, -3, 1e6, 2.5, '7', true, false, yes, ~, null, Null, abc, 0x10, .5, 1_000, 9007199254740993, inf, \"true\"]");
  if (!CHECK(root && root->count == 18)) return;
  double number;
  int64_t integer;
  bool boolean;
  struct node **item = root->items;
  CHECK(node_integer(item[0], &integer) && integer == 7);
  CHECK(node_number(item[1], &number) && number == -3);
  CHECK(node_integer(item[2], &integer) && integer == 1000000);
  CHECK(!node_integer(item[3], &integer) && node_number(item[3], &number) && number == 2.5);
  CHECK(!node_number(item[4], &number));
  CHECK(node_boolean(item[5], &boolean) && boolean);
  CHECK(node_boolean(item[6], &boolean) && !boolean);
  CHECK(!node_boolean(item[7], &boolean));
  CHECK(node_is_null(item[8]) && node_is_null(item[9]) && node_is_null(item[10]) && !node_is_null(item[11]));
  CHECK(!node_number(item[12], &number));
  CHECK(node_number(item[13], &number) && number == 0.5);
  CHECK(!node_number(item[14], &number));
  CHECK(node_integer(item[15], &integer) && integer == 9007199254740993);
  CHECK(!node_boolean(item[17], &boolean));
  CHECK_TEXT(node_kind_name(item[0]), "a number");
  CHECK_TEXT(node_kind_name(item[4]), "a string");
  CHECK_TEXT(node_kind_name(item[5]), "true or false");
  CHECK_TEXT(node_kind_name(item[8]), "nothing");
  CHECK_TEXT(node_kind_name(root), "a list");
}

static void anchors_share(void) {
  struct node *root = parse("a: &x {b: [1, 2]}\nc: *x\nd: &x 5\ne: *x\n");
  if (!CHECK(root && diagnostics.errors == 0)) return;
  CHECK(node_find(root, "a") == node_find(root, "c"));
  CHECK_TEXT(node_find(root, "e")->text, "5");
}

static void merges(void) {
  struct node *root = parse(
      "x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\n"
      "own: {<<: *x, b: 9}\nboth: {<<: [*x, *y], d: 5}\ntwice: {<<: *x, <<: *y}\nquoted: {'<<': 1}\n");
  if (!CHECK(root && diagnostics.errors == 0)) return;
  struct node *own = node_find(root, "own"), *both = node_find(root, "both"), *twice = node_find(root, "twice");
  CHECK(own->count == 2);
  CHECK_TEXT(node_find(own, "b")->text, "9");
  CHECK_TEXT(node_find(own, "a")->text, "1");
  CHECK(both->count == 4);
  CHECK_TEXT(node_find(both, "b")->text, "2");
  CHECK_TEXT(node_find(both, "c")->text, "4");
  CHECK(twice->count == 3);
  CHECK_TEXT(node_find(node_find(root, "quoted"), "<<")->text, "1");
}

static void duplicates_in_large_mappings(void) {
  struct text text = {0};
  for (int i = 0; i < 20000; i++) text_format(&text, "k%d: %d\n", i, i);
  text_add(&text, "k17: again\nk19999: again\n");
  struct node *root = parse(text_string(&text));
  if (CHECK(root && root->count == 20000)) CHECK_TEXT(node_find(root, "k17")->text, "17");
  CHECK(diagnostics.errors == 2);
  CHECK(diagnostics.items[0].line == 20001);
  CHECK_TEXT(diagnostics.items[0].message, "key 'k17' is given twice");
  CHECK_TEXT(diagnostics.items[0].hint, "it is first on line 18");
  text_free(&text);
}

static void repeat(struct text *text, const char *piece, size_t bytes) {
  while (text->length < bytes) text_add(text, piece);
}

// 10 MB of every opening there is. None may crash, hang or nest the stack; the time is the suite's, not a limit here.
static void ten_megabytes_of_openings(void) {
  static const char *const pieces[] = {"[",       "{",  "- ",   "? ",   "[{",    "{a: [", "&a ",  "!!x ",
                                       "a: ",     "\"", "b: '", "|\n",  "#",     "*a ",   "{?",   "[,",
                                       "- - ? [", "\t", "\r",   "%a\n", "---\n", "...\n", "<<: ", "{<<: ["};
  for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
    struct text text = {0};
    repeat(&text, pieces[i], 10u << 20);
    diagnostics_free(&diagnostics);
    struct arena own = {0};
    struct node *root = document_parse(&own, "t.yaml", text.bytes, text.length, &diagnostics);
    if (!CHECK(!root)) printf("# a tree from 10 MB of %s\n", pieces[i]);
    if (!CHECK(diagnostics.errors >= 1 && diagnostics.errors < 100000)) printf("# %s\n", pieces[i]);
    text_free(&text);
    arena_free(&own);
  }
}

static void depth_limit(void) {
  char text[200];
  memset(text, '[', 64);
  memset(text + 64, ']', 64);
  text[128] = '\0';
  CHECK(parse(text) != NULL);
  memset(text, '[', 65);
  memset(text + 65, ']', 65);
  text[130] = '\0';
  CHECK(parse(text) == NULL);
  CHECK_TEXT(complaint(), "1:65 nested deeper than 64 levels");
}

// Every level holds the one before ten times: a tree of ten billion leaves that takes a kilobyte.
static void sharing_bombs(void) {
  struct text text = {0};
  text_add(&text, "a0: &a0 [x, x]\n");
  for (int i = 1; i < 11; i++) {
    text_format(&text, "a%d: &a%d [", i, i);
    for (int j = 0; j < 10; j++) text_format(&text, "%s*a%d", j ? ", " : "", i - 1);
    text_add(&text, "]\n");
  }
  struct node *root = parse(text_string(&text));
  CHECK(root && diagnostics.errors == 0);
  text_clear(&text);
  // The same with merge keys: every mapping merges a large one again and again.
  text_add(&text, "m: &m {");
  for (int i = 0; i < 2000; i++) text_format(&text, "k%d: 1, ", i);
  text_add(&text, "z: 1}\nall:\n");
  for (int i = 0; i < 1000; i++) text_format(&text, "  n%d: {<<: *m}\n", i);
  CHECK(parse(text_string(&text)) == NULL);
  CHECK(diagnostics.errors == 1 && strstr(diagnostics.items[0].message, "1048576"));
  text_free(&text);
}

static void size_limits(void) {
  struct text text = {0};
  text_char(&text, '[');
  repeat(&text, "a,", 10u << 20);
  text_char(&text, ']');
  CHECK(parse(text_string(&text)) == NULL);
  CHECK(diagnostics.errors == 1 && strstr(diagnostics.items[0].message, "4194304"));
  text_free(&text);
  size_t large = (64u << 20) + 1;
  char *bytes = memory_get(large + 1);
  memset(bytes, ' ', large);
  diagnostics_free(&diagnostics);
  CHECK(!document_parse(&arena, "t.yaml", bytes, large, &diagnostics));
  CHECK_TEXT(complaint(), "0:0 larger than 64 MiB");
  free(bytes);
}

static void files(void) {
  struct error error = {0};
  diagnostics_free(&diagnostics);
  CHECK(!document_load(&arena, "/no/such/file.yaml", &diagnostics, &error));
  CHECK(error.code == EXIT_USAGE_ERROR || error.code == EXIT_ENVIRONMENT);
  CHECK(strstr(error.text, "/no/such/file.yaml") != NULL);
  error = (struct error){0};
  CHECK(!document_load(&arena, "/", &diagnostics, &error) && error.code != EXIT_DONE);
}

static void unknown_keys(void) {
  static const char *const allowed[] = {"width", "layers"};
  struct node *root = parse("{wdith: 1, layers: 2, colour: red}");
  node_check_keys(root, allowed, 2, "model", &diagnostics);
  if (!CHECK(diagnostics.errors == 2)) return;
  CHECK_TEXT(diagnostics.items[0].message, "unknown key 'wdith' in model");
  CHECK_TEXT(diagnostics.items[0].hint, "did you mean 'width'?");
  CHECK_TEXT(diagnostics.items[1].hint, "the keys here are width, layers");
}

int main(int argc, char **argv) {
  RUN(places);
  RUN(byte_order_mark);
  RUN(columns_count_characters);
  RUN(scalars);
  RUN(anchors_share);
  RUN(merges);
  RUN(duplicates_in_large_mappings);
  RUN(ten_megabytes_of_openings);
  RUN(depth_limit);
  RUN(sharing_bombs);
  RUN(size_limits);
  RUN(files);
  RUN(unknown_keys);
  arena_free(&arena);
  diagnostics_free(&diagnostics);
  return check_end();
}
