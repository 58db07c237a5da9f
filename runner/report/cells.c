// Cells of the page's tables, and numbers in words. See write.h.
#include <math.h>
#include <string.h>

#include "runner/report/write.h"

void page_head(struct text *out, const char *class_name, const char *text) {
  text_format(out, class_name ? "<th class=\"%s\" scope=\"col\">" : "<th scope=\"col\">", class_name);
  markup_escape(out, text);
  text_add(out, "</th>");
}

void page_cell(struct text *out, const char *class_name, const char *text) {
  if (class_name)
    text_format(out, "<td class=\"%s\">", class_name);
  else
    text_add(out, "<td>");
  markup_escape(out, text);
  text_add(out, "</td>");
}

void page_value(struct text *out, double value, const char *words) {
  if (!isfinite(value)) {
    page_cell(out, NULL, words);
    return;
  }
  text_format(out, "<td data-v=\"%.7g\">", value);
  markup_escape(out, words);
  text_add(out, "</td>");
}

void page_sentence(struct text *out, const char *sentence) {
  struct text escaped = {0};
  markup_escape(&escaped, sentence);
  char *text = (char *)text_string(&escaped);
  if (*text >= 'a' && *text <= 'z') *text = (char)(*text - 'a' + 'A');
  for (const char *percent; (percent = strstr(text, " %")); text = (char *)percent + 1) {
    text_append(out, text, (size_t)(percent - text));
    text_add(out, "&nbsp;");
  }
  text_add(out, text);
  text_free(&escaped);
}

void page_loss(struct text *out, double loss) {
  char words[32];
  page_cell(out, NULL, isfinite(loss) ? loss_human(loss, words) : "–");
}

void page_number(struct text *out, const char *format, double value) {
  char words[64];
  if (isfinite(value))
    snprintf(words, sizeof words, format, value);
  else
    snprintf(words, sizeof words, "–");
  page_cell(out, NULL, words);
}

const char *count_words(double value, char out[32]) {
  if (!isfinite(value)) return strcpy(out, "–");
  number_human(value, out);
  size_t length = strlen(out);
  if (length && out[length - 1] == 'G') out[length - 1] = 'B';
  return out;
}

const char *digits_words(double value, int digits, char out[32]) {
  if (!isfinite(value)) return strcpy(out, "–");
  snprintf(out, 32, "%.*g", digits, value);
  char *plus = strchr(out, '+');
  if (plus) memmove(plus, plus + 1, strlen(plus));
  return out;
}

const char *power_words(double value, char out[32]) { return digits_words(value, 3, out); }
