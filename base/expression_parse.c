// Parsing the expression language: a scanner and a recursive descent parser, one function a level of precedence.
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/expression.h"
#include "base/rate_schedule.h"
#include "base/text.h"

enum {
  SOURCE_LIMIT = 64 * 1024,  // bytes of text
  NESTING_LIMIT = 200,       // parentheses, calls, signs and powers within each other
  HEIGHT_LIMIT = 2000,       // levels of the tree: long chains such as a + a + a + ... count too
  NAME_LIMIT = 4000,         // different names
};

enum token_kind { TOKEN_END, TOKEN_NUMBER, TOKEN_TEXT, TOKEN_WORD, TOKEN_SIGN };

struct token {
  enum token_kind kind;
  int offset, length;  // in the source; of a text without its quotes' characters, see text_start
  int text_start, text_length;
  double number;
};

// A node and what only the parser wants to know of it.
struct measured_node {
  struct expression_node node;
  int height;
};

struct parser {
  struct arena *arena;
  const char *source;
  int length, position, depth, name_capacity;
  struct token token;
  struct expression *expression;
  struct error *error;
};

static void *fail_at(struct parser *parser, int offset, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void *fail_at(struct parser *parser, int offset, const char *format, ...) {
  char message[300];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  error_at(parser->error, EXIT_USAGE_ERROR, parser->source, offset, "%s", message);
  return NULL;
}

static bool word_start(char c) { return isalpha((unsigned char)c) || c == '_'; }
static bool word_part(char c) { return isalnum((unsigned char)c) || c == '_'; }

// The token as it is in the source, for messages.
static const char *token_shown(struct parser *parser) {
  if (parser->token.kind == TOKEN_END) return "the end";
  int length = parser->token.length < 40 ? parser->token.length : 40;
  return arena_format(parser->arena, "'%.*s'", length, parser->source + parser->token.offset);
}

static bool scan_number(struct parser *parser, int at) {
  const char *s = parser->source;
  int end = at;
  while (isdigit((unsigned char)s[end])) end++;
  if (s[end] == '.') {
    end++;
    while (isdigit((unsigned char)s[end])) end++;
  }
  if (s[end] == 'e' || s[end] == 'E') {
    int digits = end + 1;
    if (s[digits] == '+' || s[digits] == '-') digits++;
    if (isdigit((unsigned char)s[digits])) {
      end = digits;
      while (isdigit((unsigned char)s[end])) end++;
    }
  }
  parser->token.kind = TOKEN_NUMBER;
  parser->token.length = end - at;
  char *text = arena_copy(parser->arena, s + at, (size_t)(end - at));
  if (!number_parse(text, &parser->token.number)) return fail_at(parser, at, "'%s' is not a number", text) != NULL;
  // Rounded, it would compare equal to its neighbour.
  int64_t whole;
  if (strspn(text, "0123456789") == strlen(text) &&
      (parser->token.number >= 0x1p63 || !integer_parse(text, &whole) || (int64_t)parser->token.number != whole))
    return fail_at(parser, at, "%s is no number that can be compared exactly; above 2^53 write one that is, or 1e16",
                   text) != NULL;
  if (word_start(s[end]) || s[end] == '.')
    return fail_at(parser, end, "unexpected '%c' after the number %s (multiplication is written with *)", s[end],
                   text) != NULL;
  return true;
}

static bool advance(struct parser *parser) {
  const char *s = parser->source;
  int at = parser->position;
  while (s[at] == ' ' || s[at] == '\t' || s[at] == '\n' || s[at] == '\r') at++;
  parser->token = (struct token){.kind = TOKEN_SIGN, .offset = at, .length = 1};
  char c = s[at];
  if (at >= parser->length) {
    parser->token.kind = TOKEN_END;
    parser->token.length = 0;
  } else if (isdigit((unsigned char)c) || (c == '.' && isdigit((unsigned char)s[at + 1]))) {
    if (!scan_number(parser, at)) return false;
  } else if (word_start(c)) {
    int end = at;
    for (;;) {  // parts of a dotted path; a part after a dot may begin with a digit
      while (word_part(s[end])) end++;
      if (s[end] != '.' || !word_part(s[end + 1])) break;
      end++;
    }
    parser->token.kind = TOKEN_WORD;
    parser->token.text_start = at;
    parser->token.length = parser->token.text_length = end - at;
  } else if (c == '"' || c == '\'' || c == '`') {
    const char *end = memchr(s + at + 1, c, (size_t)(parser->length - at - 1));
    if (!end) return fail_at(parser, at, "this %s has no closing %c", c == '`' ? "name" : "text", c) != NULL;
    if (c == '`' && end == s + at + 1) return fail_at(parser, at, "there is no name between these ``") != NULL;
    parser->token.kind = c == '`' ? TOKEN_WORD : TOKEN_TEXT;
    parser->token.text_start = at + 1;
    parser->token.text_length = (int)(end - s) - at - 1;
    parser->token.length = parser->token.text_length + 2;
  } else {
    static const char *const pairs[] = {"**", "==", "!=", "<=", ">=", "&&", "||"};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
      if (strncmp(s + at, pairs[i], 2) == 0) parser->token.length = 2;
    if (parser->token.length == 1 && (c == '\0' || !strchr("+-*/%^()[],<>!?:", c))) {
      if (c == '=') return fail_at(parser, at, "'=' is written '==' in a comparison") != NULL;
      if (isprint((unsigned char)c)) return fail_at(parser, at, "unexpected character '%c'", c) != NULL;
      return fail_at(parser, at, "unexpected character (byte 0x%02x)", (unsigned)(unsigned char)c) != NULL;
    }
  }
  parser->position = at + parser->token.length;
  return true;
}

static bool at_sign(const struct parser *parser, const char *sign) {
  return parser->token.kind == TOKEN_SIGN && (int)strlen(sign) == parser->token.length &&
         strncmp(parser->source + parser->token.offset, sign, strlen(sign)) == 0;
}

static bool at_word(const struct parser *parser, const char *word) {
  return parser->token.kind == TOKEN_WORD && (int)strlen(word) == parser->token.length &&
         strncmp(parser->source + parser->token.offset, word, strlen(word)) == 0;
}

static bool expect_sign(struct parser *parser, const char *sign, const char *what) {
  if (!at_sign(parser, sign))
    return fail_at(parser, parser->token.offset, "expected '%s' %s, found %s", sign, what, token_shown(parser)) != NULL;
  return advance(parser);
}

static struct expression_node *node_make(struct parser *parser, enum expression_kind kind, int offset, int count,
                                         struct expression_node **arguments) {
  struct measured_node *made = arena_alloc(parser->arena, sizeof *made);
  made->node.kind = kind;
  made->node.offset = offset;
  made->node.count = count;
  if (count) {
    made->node.arguments = arena_array(parser->arena, (size_t)count, sizeof *made->node.arguments);
    memcpy(made->node.arguments, arguments, (size_t)count * sizeof *arguments);
  }
  for (int i = 0; i < count; i++) {
    int height = ((struct measured_node *)(void *)arguments[i])->height + 1;
    if (height > made->height) made->height = height;
  }
  if (made->height > HEIGHT_LIMIT)
    return fail_at(parser, offset, "the expression chains more than %d operations", HEIGHT_LIMIT);
  return &made->node;
}

const char *column_canonical(const char *name) {
  if (strcmp(name, "N") == 0) return "parameters";
  if (strcmp(name, "D") == 0) return "tokens";
  if (strcmp(name, "C") == 0) return "flops";
  return name;
}

static int name_slot(struct parser *parser, const char *name, const char *index, bool quoted, int offset) {
  struct expression *expression = parser->expression;
  for (int i = 0; i < expression->name_count; i++) {
    const struct expression_name *known = &expression->names[i];
    if (strcmp(known->name, name) != 0 || !known->index != !index) continue;
    if (!index || (strcmp(known->index, index) == 0 && known->index_quoted == quoted)) return i;
  }
  if (expression->name_count == NAME_LIMIT) {
    fail_at(parser, offset, "the expression holds more than %d different names", NAME_LIMIT);
    return -1;
  }
  if (expression->name_count == parser->name_capacity) {
    int capacity = parser->name_capacity ? 2 * parser->name_capacity : 8;
    expression->names = arena_grow(parser->arena, expression->names, (size_t)expression->name_count, (size_t)capacity,
                                   sizeof *expression->names);
    parser->name_capacity = capacity;
  }
  expression->names[expression->name_count] =
      (struct expression_name){.name = name, .index = index, .index_quoted = quoted, .offset = offset};
  return expression->name_count++;
}

static struct expression_node *parse_condition(struct parser *parser);

// A comma-separated list up to `closing`, which is consumed. The arguments grow in the arena.
static struct expression_node **parse_list(struct parser *parser, const char *closing, const char *what, int first,
                                           struct expression_node *first_node, int *count) {
  int capacity = 4;
  struct expression_node **list = arena_array(parser->arena, (size_t)capacity, sizeof *list);
  *count = first;
  if (first) list[0] = first_node;
  while (!at_sign(parser, closing)) {
    struct expression_node *item = parse_condition(parser);
    if (!item) return NULL;
    if (*count == capacity) {
      list = arena_grow(parser->arena, list, (size_t)*count, (size_t)capacity * 2, sizeof *list);
      capacity *= 2;
    }
    list[(*count)++] = item;
    if (at_sign(parser, ",")) {
      if (!advance(parser)) return NULL;
      if (at_sign(parser, closing))
        return fail_at(parser, parser->token.offset, "expected another value after ',', found '%s'", closing);
    } else if (!at_sign(parser, closing)) {
      return fail_at(parser, parser->token.offset, "expected ',' or '%s' %s, found %s", closing, what,
                     token_shown(parser));
    }
  }
  return advance(parser) ? list : NULL;
}

// What a sum_over sums, of its pieces.
static struct expression_node *piece_node(struct parser *parser, const char *written, int offset) {
  int field = 0;
  while (field < PIECE_FIELDS && strcmp(written + strlen("piece."), rate_piece_fields[field]) != 0) field++;
  if (field == PIECE_FIELDS)
    return fail_at(parser, offset, "a piece of a schedule has steps, lr, drop, since and area, no '%s'",
                   written + strlen("piece."));
  struct expression_node *node = node_make(parser, EXPRESSION_PIECE, offset, 0, NULL);
  if (!node) return NULL;
  node->text = written;
  node->number = field;
  return node;
}

static struct expression_node *parse_name(struct parser *parser) {
  struct token word = parser->token;
  bool backquoted = parser->source[word.offset] == '`';
  const char *written = arena_copy(parser->arena, parser->source + word.text_start, (size_t)word.text_length);
  if (!advance(parser)) return NULL;
  if (!backquoted && at_sign(parser, "(")) {
    int count;
    if (!advance(parser)) return NULL;
    struct expression_node **list = parse_list(parser, ")", "after an argument", 0, NULL, &count);
    struct expression_node *node = list ? node_make(parser, EXPRESSION_CALL, word.offset, count, list) : NULL;
    if (node) node->text = written;
    return node;
  }
  if (!backquoted && starts_with(written, "piece.")) return piece_node(parser, written, word.offset);
  const char *name = backquoted ? written : column_canonical(written), *index = NULL;
  bool quoted = false;
  if (at_sign(parser, "[")) {
    if (!advance(parser)) return NULL;
    struct token inside = parser->token;
    if (inside.kind == TOKEN_WORD) {
      index =
          column_canonical(arena_copy(parser->arena, parser->source + inside.text_start, (size_t)inside.text_length));
    } else if (inside.kind == TOKEN_TEXT) {
      index = arena_copy(parser->arena, parser->source + inside.text_start, (size_t)inside.text_length);
      quoted = true;
    } else {
      return fail_at(parser, inside.offset, "expected a name or a quoted text within %s[...], found %s", name,
                     token_shown(parser));
    }
    if (!advance(parser)) return NULL;
    if (!at_sign(parser, "]"))
      return fail_at(parser, parser->token.offset,
                     "expected ']' after %s[%s, found %s (a category that is not a plain word is quoted)", name, index,
                     token_shown(parser));
    if (!advance(parser)) return NULL;
  }
  int slot = name_slot(parser, name, index, quoted, word.offset);
  if (slot < 0) return NULL;
  struct expression_node *node = node_make(parser, index ? EXPRESSION_INDEXED : EXPRESSION_NAME, word.offset, 0, NULL);
  if (!node) return NULL;
  node->text = name;
  node->index = index;
  node->index_quoted = quoted;
  node->slot = slot;
  return node;
}

static struct expression_node *parse_primary(struct parser *parser) {
  struct token token = parser->token;
  struct expression_node *node;
  if (token.kind == TOKEN_NUMBER) {
    node = node_make(parser, EXPRESSION_NUMBER, token.offset, 0, NULL);
    node->number = token.number;
    return advance(parser) ? node : NULL;
  }
  if (token.kind == TOKEN_TEXT) {
    node = node_make(parser, EXPRESSION_TEXT, token.offset, 0, NULL);
    node->text = arena_copy(parser->arena, parser->source + token.text_start, (size_t)token.text_length);
    return advance(parser) ? node : NULL;
  }
  if (at_word(parser, "true") || at_word(parser, "false")) {
    node = node_make(parser, EXPRESSION_BOOLEAN, token.offset, 0, NULL);
    node->number = at_word(parser, "true");
    return advance(parser) ? node : NULL;
  }
  if (token.kind == TOKEN_WORD && !at_word(parser, "and") && !at_word(parser, "or") && !at_word(parser, "in") &&
      !at_word(parser, "not"))
    return parse_name(parser);
  if (at_sign(parser, "(")) {
    if (!advance(parser)) return NULL;
    node = parse_condition(parser);
    return node && expect_sign(parser, ")", "to close the parenthesis") ? node : NULL;
  }
  return fail_at(parser, token.offset, "expected a value, found %s", token_shown(parser));
}

static struct expression_node *binary(struct parser *parser, enum expression_kind kind, int offset,
                                      struct expression_node *left, struct expression_node *right) {
  if (!left || !right) return NULL;
  return node_make(parser, kind, offset, 2, (struct expression_node *[]){left, right});
}

static bool deeper(struct parser *parser) {
  if (++parser->depth <= NESTING_LIMIT) return true;
  return fail_at(parser, parser->token.offset, "the expression is nested more than %d levels deep", NESTING_LIMIT) !=
         NULL;
}

static struct expression_node *parse_sign(struct parser *parser);

static struct expression_node *parse_deeper_sign(struct parser *parser) {
  if (!advance(parser) || !deeper(parser)) return NULL;
  struct expression_node *node = parse_sign(parser);
  parser->depth--;
  return node;
}

// a ^ b ^ c is a ^ (b ^ c); -a ^ b is -(a ^ b); a ^ -b is fine.
static struct expression_node *parse_power(struct parser *parser) {
  struct expression_node *left = parse_primary(parser);
  if (!left || !(at_sign(parser, "^") || at_sign(parser, "**"))) return left;
  int offset = parser->token.offset;
  return binary(parser, EXPRESSION_POWER, offset, left, parse_deeper_sign(parser));
}

static struct expression_node *parse_sign(struct parser *parser) {
  int offset = parser->token.offset;
  if (at_sign(parser, "+")) return parse_deeper_sign(parser);
  if (!at_sign(parser, "-")) return parse_power(parser);
  struct expression_node *node = parse_deeper_sign(parser);
  return node ? node_make(parser, EXPRESSION_NEGATE, offset, 1, &node) : NULL;
}

static struct expression_node *parse_product(struct parser *parser) {
  struct expression_node *left = parse_sign(parser);
  while (left) {
    enum expression_kind kind;
    if (at_sign(parser, "*"))
      kind = EXPRESSION_MULTIPLY;
    else if (at_sign(parser, "/"))
      kind = EXPRESSION_DIVIDE;
    else if (at_sign(parser, "%"))
      kind = EXPRESSION_MODULO;
    else
      return left;
    int offset = parser->token.offset;
    if (!advance(parser)) return NULL;
    left = binary(parser, kind, offset, left, parse_sign(parser));
  }
  return NULL;
}

static struct expression_node *parse_sum(struct parser *parser) {
  struct expression_node *left = parse_product(parser);
  while (left && (at_sign(parser, "+") || at_sign(parser, "-"))) {
    enum expression_kind kind = at_sign(parser, "+") ? EXPRESSION_ADD : EXPRESSION_SUBTRACT;
    int offset = parser->token.offset;
    if (!advance(parser)) return NULL;
    left = binary(parser, kind, offset, left, parse_product(parser));
  }
  return left;
}

static bool comparison(const struct parser *parser, enum expression_kind *kind) {
  static const struct {
    const char *sign;
    enum expression_kind kind;
  } signs[] = {{"==", EXPRESSION_EQUAL},      {"!=", EXPRESSION_UNEQUAL}, {"<", EXPRESSION_LESS},
               {"<=", EXPRESSION_LESS_EQUAL}, {">", EXPRESSION_GREATER},  {">=", EXPRESSION_GREATER_EQUAL}};
  for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
    if (at_sign(parser, signs[i].sign)) {
      *kind = signs[i].kind;
      return true;
    }
  return false;
}

static struct expression_node *parse_comparison(struct parser *parser) {
  struct expression_node *left = parse_sum(parser);
  if (!left) return NULL;
  int offset = parser->token.offset;
  enum expression_kind kind;
  if (comparison(parser, &kind)) {
    if (!advance(parser)) return NULL;
    left = binary(parser, kind, offset, left, parse_sum(parser));
    if (left && comparison(parser, &kind))
      return fail_at(parser, parser->token.offset, "comparisons do not chain: write a < b and b < c");
    return left;
  }
  bool negated = at_word(parser, "not");
  if (!negated && !at_word(parser, "in")) return left;
  if (negated) {
    if (!advance(parser)) return NULL;
    if (!at_word(parser, "in"))
      return fail_at(parser, parser->token.offset, "expected 'in' after 'not', found %s", token_shown(parser));
  }
  int count;
  if (!advance(parser) || !expect_sign(parser, "[", "after 'in'")) return NULL;
  struct expression_node **list = parse_list(parser, "]", "in the list", 1, left, &count);
  if (!list) return NULL;
  struct expression_node *node = node_make(parser, EXPRESSION_IN, offset, count, list);
  return node && negated ? node_make(parser, EXPRESSION_NOT, offset, 1, &node) : node;
}

static struct expression_node *parse_not(struct parser *parser) {
  if (!at_word(parser, "not") && !at_sign(parser, "!")) return parse_comparison(parser);
  if (!deeper(parser)) return NULL;
  int offset = parser->token.offset;
  struct expression_node *node = advance(parser) ? parse_not(parser) : NULL;
  parser->depth--;
  return node ? node_make(parser, EXPRESSION_NOT, offset, 1, &node) : NULL;
}

static struct expression_node *parse_and(struct parser *parser) {
  struct expression_node *left = parse_not(parser);
  while (left && (at_word(parser, "and") || at_sign(parser, "&&"))) {
    int offset = parser->token.offset;
    if (!advance(parser)) return NULL;
    left = binary(parser, EXPRESSION_AND, offset, left, parse_not(parser));
  }
  return left;
}

static struct expression_node *parse_or(struct parser *parser) {
  struct expression_node *left = parse_and(parser);
  while (left && (at_word(parser, "or") || at_sign(parser, "||"))) {
    int offset = parser->token.offset;
    if (!advance(parser)) return NULL;
    left = binary(parser, EXPRESSION_OR, offset, left, parse_and(parser));
  }
  return left;
}

static struct expression_node *parse_condition(struct parser *parser) {
  if (!deeper(parser)) return NULL;
  struct expression_node *node = parse_or(parser);
  if (node && at_sign(parser, "?")) {
    int offset = parser->token.offset;
    if (!advance(parser)) return NULL;
    struct expression_node *yes = parse_condition(parser);
    if (!yes || !expect_sign(parser, ":", "between the two values of a condition")) return NULL;
    struct expression_node *no = parse_condition(parser);
    if (!no) return NULL;
    node = node_make(parser, EXPRESSION_CONDITION, offset, 3, (struct expression_node *[]){node, yes, no});
  }
  parser->depth--;
  return node;
}

struct expression *expression_parse(struct arena *arena, const char *text, struct error *error) {
  size_t length = strlen(text);
  if (length > SOURCE_LIMIT) {
    error_set(error, EXIT_USAGE_ERROR, "the expression is longer than %d bytes", SOURCE_LIMIT);
    return NULL;
  }
  struct expression *expression = arena_alloc(arena, sizeof *expression);
  struct parser parser = {.arena = arena, .length = (int)length, .expression = expression, .error = error};
  expression->source = parser.source = arena_copy(arena, text, length);
  if (!advance(&parser)) return NULL;
  if (parser.token.kind == TOKEN_END) {
    error_at(error, EXIT_USAGE_ERROR, text, 0, "the expression is empty");
    return NULL;
  }
  expression->root = parse_condition(&parser);
  if (!expression->root) return NULL;
  if (parser.token.kind != TOKEN_END)
    return fail_at(&parser, parser.token.offset, "expected an operator or the end, found %s", token_shown(&parser));
  return expression;
}
