// base/options.h: what each kind of option takes, what stays, what is refused and with which words.
#include "base/base.h"
#include "base/options.h"
#include "tests/check.h"

struct given {
  bool flag;
  const char *text;
  int64_t integer;
  double number;
  struct option_list list;
  const char *columns;
  struct arguments arguments;
  struct arena arena;
  struct error error;
  bool fine;
};

static void parse(struct given *given, int argc, char **argv) {
  *given = (struct given){.integer = -7, .number = 0.5};
  const struct option options[] = {{"flag", 'f', OPTION_FLAG, &given->flag, NULL, "a flag"},
                                   {"text", 't', OPTION_TEXT, &given->text, "NAME", "a text"},
                                   {"integer", 0, OPTION_INTEGER, &given->integer, "N", "a whole number"},
                                   {"number", 0, OPTION_NUMBER, &given->number, "X", "a number"},
                                   {"list", 'l', OPTION_LIST, &given->list, "ITEM", "several"},
                                   {"columns", 'c', OPTION_TEXT, &given->columns, "LIST", "names with commas"},
                                   {0}};
  given->fine = options_parse(options, "program act", argc, argv, &given->arena, &given->arguments, &given->error);
}

#define PARSE(given, ...)                                        \
  do {                                                           \
    char *words[] = {"act", __VA_ARGS__};                        \
    parse(&given, (int)(sizeof words / sizeof words[0]), words); \
  } while (0)

static void values_come_in_every_form(void) {
  struct given given;
  PARSE(given, "one", "--flag", "--text", "b", "-tb", "--integer=1e3", "two", "--number", "-2.5", "-");
  CHECK(given.fine && given.flag && given.integer == 1000 && given.number == -2.5);
  CHECK_TEXT(given.text, "b");
  CHECK(given.arguments.count == 3 && !given.arguments.help);
  CHECK_TEXT(given.arguments.items[1], "two");
  CHECK_TEXT(given.arguments.items[2], "-");
  arena_free(&given.arena);
  PARSE(given, "-f", "--no-flag", "-t", "", "--", "--text", "-x");
  CHECK(given.fine && !given.flag && given.integer == -7 && given.number == 0.5);
  CHECK_TEXT(given.text, "");
  CHECK(given.arguments.count == 2);
  CHECK_TEXT(given.arguments.items[0], "--text");
  arena_free(&given.arena);
}

static void lists_keep_their_order(void) {
  struct given given;
  PARSE(given, "--list", "a=1", "-l", "b", "--list=c=3", "-ld");
  CHECK(given.fine && given.list.count == 4);
  CHECK_TEXT(given.list.items[0], "a=1");
  CHECK_TEXT(given.list.items[2], "c=3");
  CHECK_TEXT(given.list.items[3], "d");
  arena_free(&given.arena);
  PARSE(given, "-c", "a,b", "--columns=c", "-cd");
  CHECK(given.fine);
  CHECK_TEXT(given.columns, "a,b,c,d");
  arena_free(&given.arena);
}

static void help_comes_first(void) {
  struct given given;
  PARSE(given, "--flag", "--help", "--nonsense");
  CHECK(given.fine && given.arguments.help && given.flag);
  arena_free(&given.arena);
  PARSE(given, "--text", "-h");  // a value, not a question
  CHECK(given.fine && !given.arguments.help);
  CHECK_TEXT(given.text, "-h");
  arena_free(&given.arena);
}

static void refused(struct given *given, const char *words) {
  CHECK(!given->fine && given->error.code == EXIT_USAGE_ERROR);
  CHECK_TEXT(given->error.text, words);
  arena_free(&given->arena);
}

static void mistakes_are_refused(void) {
  struct given given;
  PARSE(given, "--integre=3");
  refused(&given, "unknown option --integre=3; did you mean --integer?");
  PARSE(given, "--quite-another");
  refused(&given, "unknown option --quite-another (program act --help lists them)");
  PARSE(given, "-z");
  refused(&given, "unknown option -z (program act --help lists them)");
  PARSE(given, "--no-text");
  refused(&given, "unknown option --no-text (program act --help lists them)");
  PARSE(given, "--flag=yes");
  refused(&given, "--flag takes no value");
  PARSE(given, "-fv");
  refused(&given, "--flag takes no value");
  PARSE(given, "x", "--text");
  refused(&given, "--text needs NAME");
  PARSE(given, "--integer", "2.5");
  refused(&given, "--integer needs a whole number, not '2.5'");
  PARSE(given, "--number=much");
  refused(&given, "--number needs a number, not 'much'");
  PARSE(given, "-t", "a", "--text=b");
  refused(&given, "--text is given twice, as 'a' and as 'b': it takes one value");
  PARSE(given, "--integer=3", "--integer=4");
  refused(&given, "--integer is given twice, as '3' and as '4': it takes one value");
}

int main(void) {
  RUN(values_come_in_every_form);
  RUN(lists_keep_their_order);
  RUN(help_comes_first);
  RUN(mistakes_are_refused);
  return check_end();
}
