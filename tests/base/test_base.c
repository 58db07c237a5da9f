// base/: errors, arenas, text, hashing, random numbers, JSON output, files.
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "base/sha256.h"
#include "tests/check.h"

static void errors_carry_their_place_and_fields(void) {
  struct error error;
  memset(&error, 'x', sizeof error);
  error.code = EXIT_DONE;
  error_at(&error, EXIT_USAGE_ERROR, "\xC3\xA9 + ?", 5, "what is '%c'", '?');
  CHECK_TEXT(error.text, "column 5: what is '?'");  // counted in characters
  CHECK_TEXT(error.text + error.place, "what is '?'");
  CHECK(error.offset == 5 && !error.about[0]);
  error_at(&error, EXIT_USAGE_ERROR, "1", 1, "second");
  CHECK(error.offset == 5);
  error_about(&error, "model.head_dim", "model.width", NULL);
  error_about(&error, "seed", NULL);  // the first ones stay
  CHECK_TEXT(error.about[0], "model.head_dim");
  CHECK_TEXT(error.about[1], "model.width");
  CHECK(!error.about[2]);
  error_context(&error, "formula");
  CHECK_TEXT(error.text + error.place, "formula: column 5: what is '?'");
  error.code = EXIT_DONE;
  error_at(&error, EXIT_USAGE_ERROR, "1 +\n  * 2", 6, "no");
  CHECK_TEXT(error.text, "line 2, column 3: no");
  CHECK(!error.about[0]);
}

static void errors_keep_the_first_and_gain_context(void) {
  struct error error = {0};
  CHECK(!error_set(&error, EXIT_USAGE_ERROR, "width %d is odd", 3));
  error_set(&error, EXIT_ENVIRONMENT, "second");
  error_context(&error, "%s:%d", "spec.yaml", 7);
  CHECK(error.code == EXIT_USAGE_ERROR);
  CHECK_TEXT(error.text, "spec.yaml:7: width 3 is odd");
  struct error none = {0};
  error_context(&none, "nothing happened");
  CHECK(none.code == EXIT_DONE && none.text[0] == '\0');
}

// A hint is in the text and by itself, and stays where it is when the text grows before and behind it.
static void hints(void) {
  struct error error;  // not zeroed: what error_set fills is enough
  memset(&error, 'x', sizeof error);
  error.code = EXIT_DONE;
  error_set(&error, EXIT_USAGE_ERROR, "must be one of fit, laws, not %s", "fitt");
  error_hint(&error, "fit", "; there are fit, laws");
  error_hint(&error, "laws", NULL);  // the first one stays
  error_add(&error, " (isoloss --help lists %d)", 2);
  error_subject(&error, "%s", "command");
  error_context(&error, "line %d", 3);
  CHECK_TEXT(error.text,
             "line 3: command must be one of fit, laws, not fitt; did you mean 'fit'? (isoloss --help lists 2)");
  CHECK_TEXT(error.hint, "did you mean 'fit'?");
  struct diagnostics list = {0};
  diagnostics_add_error(&list, "a.yaml", 1, 2, &error);
  CHECK(list.errors == 1);
  CHECK_TEXT(list.items[0].message, "line 3: command must be one of fit, laws, not fitt");
  CHECK_TEXT(list.items[0].hint, "did you mean 'fit'?");
  diagnostics_free(&list);
  error.code = EXIT_DONE;
  error_set(&error, EXIT_USAGE_ERROR, "unknown");
  error_hint(&error, NULL, "; there are fit, laws");
  CHECK_TEXT(error.text, "unknown; there are fit, laws");
  CHECK_TEXT(error.hint, "");
  CHECK(error_length(&error) == (int)strlen(error.text));
}

static void arenas_zero_align_and_grow(void) {
  struct arena arena = {0};
  bool aligned = true, zero = true;
  for (size_t size = 1; size < 3000; size += 7) {
    unsigned char *memory = arena_alloc(&arena, size);
    aligned = aligned && (uintptr_t)memory % 16 == 0;
    for (size_t i = 0; i < size; i++) zero = zero && memory[i] == 0;
    memset(memory, 0xAB, size);
  }
  CHECK(aligned);
  CHECK(zero);
  unsigned char *large = arena_alloc(&arena, 5u << 20);
  large[(5u << 20) - 1] = 1;
  int *numbers = arena_array(&arena, 3, sizeof *numbers);
  numbers[0] = 1, numbers[1] = 2, numbers[2] = 3;
  numbers = arena_grow(&arena, numbers, 3, 100, sizeof *numbers);
  CHECK(numbers[2] == 3 && numbers[99] == 0);
  CHECK_TEXT(arena_format(&arena, "%s-%d", "run", 12), "run-12");
  arena_free(&arena);
  CHECK(arena.blocks == NULL);
}

static void numbers_are_written_shortest_and_read_back(void) {
  char out[32];
  const double values[] = {0, 1, -1, 0.1, 1e-10, 3e-3, 1.0 / 3, 123456789012345.0, 1e300, 5e-324, 2.5e15, -7.25};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    number_shortest(values[i], out);
    CHECK(strtod(out, NULL) == values[i]);
  }
  for (uint64_t i = 0; i < 2000; i++) {
    uint32_t w[4];
    random_words(1, 99, 0, i, w);
    uint64_t bits = (uint64_t)w[0] << 32 | w[1];
    double value;
    memcpy(&value, &bits, 8);
    if (!isfinite(value)) continue;
    number_shortest(value, out);
    CHECK(strtod(out, NULL) == value);
  }
  number_shortest(0.1, out);
  CHECK_TEXT(out, "0.1");
  CHECK(number_shortest(-0.0, out) == 1);
  CHECK_TEXT(out, "0");
  // As many digits as reading back needs, written as %g writes them; whole numbers below 10^15 by all their digits.
  int other = 0;
  for (uint64_t i = 0; i < 60000; i++) {
    uint32_t w[4];
    char plain[32];
    random_words(2, 99, 0, i, w);
    double scale = pow(10, (int)(w[1] % 34) - 17), value = scale * (double)(w[0] % (1u << w[2] % 32));
    if (w[3] & 1) value = -value;
    if (w[3] & 2) value = nextafter(value, 1e300);
    if (w[3] & 4) value = (double)(w[0] % 100000) / pow(10, (int)(w[1] % 9));
    if (w[3] & 24) value = (double)(float)value;
    if (fabs(value) < 1e15 && value == (double)(int64_t)value)
      snprintf(plain, sizeof plain, "%lld", (long long)value);
    else
      for (int digits = 1; digits <= 17; digits++) {
        snprintf(plain, sizeof plain, "%.*g", digits, value);
        if (strtod(plain, NULL) == value) break;
      }
    int length = number_shortest(value, out);
    if (strcmp(out, plain) == 0 && length == (int)strlen(plain)) continue;
    if (other++ < 5) printf("# %s, not %s (%.17g)\n", out, plain, value);
  }
  CHECK(other == 0);
  number_shortest(NAN, out);
  CHECK_TEXT(out, "nan");
  CHECK_TEXT(number_human(842, out), "842");
  CHECK_TEXT(number_human(14321, out), "14.3k");
  CHECK_TEXT(number_human(999600, out), "1.00M");
  CHECK_TEXT(number_human(3.14e13, out), "31.4T");
  CHECK_TEXT(number_human(3.14e16, out), "3.14e+16");
  CHECK_TEXT(bytes_human(13002342, out), "12.4 MiB");
  CHECK_TEXT(seconds_human(11220, out), "3 h 07 min");
  CHECK_TEXT(seconds_human(-1, out), "?");
}

static void numbers_are_read_whole_or_not_at_all(void) {
  double number;
  int64_t integer;
  CHECK(number_parse("2.5e-3", &number) && number == 2.5e-3);
  CHECK(!number_parse("2.5x", &number) && !number_parse("", &number) && !number_parse("0x10", &number));
  CHECK(!number_parse(" 1", &number) && !number_parse("nan(1)", &number));
  CHECK(integer_parse("1e6", &integer) && integer == 1000000);
  CHECK(integer_parse("-9007199254740993", &integer) && integer == -9007199254740993);
  CHECK(integer_parse("9007199254740991.0", &integer) && integer == 9007199254740991);
  CHECK(!integer_parse("9007199254740993.0", &integer) && !integer_parse("9.007199254740993e15", &integer));
  CHECK(!integer_parse("1.5", &integer) && !integer_parse("1e30", &integer) && !integer_parse("12a", &integer));
}

static void nearest_names(void) {
  const char *names[] = {"model.width", "model.layers", "train.lr", "train.schedule"};
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("wdith", "width") == 1);
  CHECK(edit_distance("", "abc") == 3);
  CHECK_TEXT(nearest_name("model.wdith", names, 4), "model.width");
  CHECK_TEXT(nearest_name("width", names, 4), "model.width");
  CHECK_TEXT(nearest_name("shedule", names, 4), "train.schedule");
  CHECK(nearest_name("zzzzzz", names, 4) == NULL);
}

static void utf8(void) {
  CHECK(utf8_valid_prefix("gr\xC3\xBC\xC3\x9F", 6) == 6);
  CHECK(utf8_valid_prefix("ab\xFF", 3) == 2);
  CHECK(utf8_valid_prefix("\xC0\x80", 2) == 0);          // overlong
  CHECK(utf8_valid_prefix("\xED\xA0\x80", 3) == 0);      // surrogate
  CHECK(utf8_valid_prefix("a\xE2\x82", 3) == 1);         // cut short
  CHECK(utf8_valid_prefix("\xF4\x90\x80\x80", 4) == 0);  // beyond U+10FFFF
}

// Known answers of the Random123 distribution for philox4x32-10.
static void philox_known_answers(void) {
  const struct {
    uint32_t counter[4];
    uint64_t key;
    uint32_t want[4];
  } cases[] = {
      {{0, 0, 0, 0}, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       0xffffffffffffffff,
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       0x299f31d0a4093822,
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (size_t i = 0; i < 3; i++) {
    uint32_t counter[4], got[4];
    memcpy(counter, cases[i].counter, sizeof counter);
    philox4x32(counter, cases[i].key, got);
    for (int j = 0; j < 4; j++) CHECK(got[j] == cases[i].want[j]);
  }
}

// Two streams of one number would draw the same: a case that stands twice does not compile. RANDOM_STREAM_TEXT
// (trainer) and RANDOM_STREAM_CHOICE (fits, 15 as well) are never drawn by one program with one seed for one result;
// either number changed would change texts or intervals that were kept.
static bool is_stream(uint32_t stream) {
  _Static_assert((int)RANDOM_STREAM_TEXT == (int)RANDOM_STREAM_CHOICE, "one of the two is free of the other now");
  switch (stream) {
    case RANDOM_STREAM_INIT:
    case RANDOM_STREAM_BATCH:
    case RANDOM_STREAM_SYNTHETIC:
    case RANDOM_STREAM_VALIDATION:
    case RANDOM_STREAM_ROUNDING:
    case RANDOM_STREAM_HADAMARD:
    case RANDOM_STREAM_NOISE:
    case RANDOM_STREAM_BOOTSTRAP:
    case RANDOM_STREAM_STARTS:
    case RANDOM_STREAM_MONTE_CARLO:
    case RANDOM_STREAM_PRUNING:
    case RANDOM_STREAM_OPTIMIZER:
    case RANDOM_STREAM_SEED_NOISE:
    case RANDOM_STREAM_MASTER:
    case RANDOM_STREAM_CHOICE:
    case RANDOM_STREAM_FEW:
    case RANDOM_STREAM_SENSITIVITY:
    case RANDOM_STREAM_TOKENS:
    case RANDOM_STREAM_GRADIENT:
      return true;
    default:
      return false;
  }
}

static void each_stream_has_a_number_of_its_own(void) {
  for (uint32_t stream = RANDOM_STREAM_INIT; stream <= RANDOM_STREAM_GRADIENT; stream++) CHECK(is_stream(stream));
}

static void random_draws_have_the_moments_of_their_laws(void) {
  enum { COUNT = 200000 };
  double sum = 0, square = 0, fourth = 0, uniform = 0;
  int counts[7] = {0};
  for (uint64_t i = 0; i < COUNT; i++) {
    double pair[2];
    random_normal_pair(42, RANDOM_STREAM_INIT, 3, i, pair);
    for (int j = 0; j < 2; j++) {
      sum += pair[j];
      square += pair[j] * pair[j];
      fourth += pair[j] * pair[j] * pair[j] * pair[j];
    }
    uniform += random_uniform(42, RANDOM_STREAM_BATCH, 3, i);
    counts[random_below(42, RANDOM_STREAM_BATCH, 4, i, 7)]++;
  }
  // Five standard errors each.
  CHECK_NEAR(sum / (2 * COUNT), 0, 5 / sqrt(2.0 * COUNT));
  CHECK_NEAR(square / (2 * COUNT), 1, 5 * sqrt(2 / (2.0 * COUNT)));
  CHECK_NEAR(fourth / (2 * COUNT), 3, 5 * sqrt(96 / (2.0 * COUNT)));
  CHECK_NEAR(uniform / COUNT, 0.5, 5 * sqrt(1 / 12.0 / COUNT));
  for (int i = 0; i < 7; i++) CHECK(fabs(counts[i] - COUNT / 7.0) < 5 * sqrt(COUNT / 7.0));
  CHECK(random_uniform(42, 1, 2, 3) == random_uniform(42, 1, 2, 3));
  CHECK(random_uniform(42, 1, 2, 3) != random_uniform(42, 1, 3, 2));
}

static void digests(void) {
  // XXH3-128 of the empty input, as its authors publish it.
  CHECK_TEXT(digest_bytes("", 0).hex, "99aa06d3014798d86001c324468d497f");
  struct hasher *hasher = hasher_new();
  hasher_add(hasher, "iso", 3);
  hasher_add(hasher, "loss", 4);
  CHECK_TEXT(hasher_end(hasher).hex, digest_string("isoloss").hex);
  CHECK(strcmp(digest_string("isoloss").hex, digest_string("isolosS").hex) != 0);
  // SHA-256, by the examples of FIPS 180-4 and the empty text; and a million a's, as its authors give it.
  char digest[SHA256_BASE64];
  sha256_base64("", 0, digest);
  CHECK_TEXT(digest, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
  sha256_base64("abc", 3, digest);
  CHECK_TEXT(digest, "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
  const char *two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  sha256_base64(two_blocks, strlen(two_blocks), digest);
  CHECK_TEXT(digest, "JI1qYdIGOLjlwCaTDD5gOaM85Flk/yFn9uzt1BnbBsE=");
  char *many = memory_get(1000000);
  memset(many, 'a', 1000000);
  sha256_base64(many, 1000000, digest);
  CHECK_TEXT(digest, "zcduXJkU+5KBocfihNc+Z/GAmkiklyAOBG05zMcRLNA=");
  free(many);
}

static void json_output(void) {
  struct text out = {0};
  struct json_writer json = json_writer(&out, false);
  json_object_begin(&json);
  json_key_string(&json, "text", "a\"b\\c\n\x01 gr\xC3\xBC \xFF");
  json_key_number(&json, "lr", 3e-3);
  json_key_number(&json, "nan", NAN);
  json_key_integer(&json, "N", INT64_MAX);
  json_key(&json, "list");
  json_array_begin(&json);
  json_put_boolean(&json, true);
  json_put_null(&json);
  json_array_begin(&json);
  json_array_end(&json);
  json_array_end(&json);
  json_object_end(&json);
  CHECK_TEXT(text_string(&out),
             "{\"text\":\"a\\\"b\\\\c\\n\\u0001 gr\xC3\xBC \xEF\xBF\xBD\",\"lr\":0.003,\"nan\":null,"
             "\"N\":9223372036854775807,\"list\":[true,null,[]]}");
  text_free(&out);
}

static void json_arrays_under_keys(void) {
  struct text text = {0};
  struct json_writer json = json_writer(&text, false);
  json_object_begin(&json);
  json_key_strings(&json, "words", (const char *const[]){"a", NULL, "\"b\""}, 3);
  json_key_numbers(&json, "numbers", (const double[]){0.1, NAN, 3}, 3);
  json_key_integers(&json, "integers", (const int64_t[]){-1, INT64_MAX}, 2);
  json_key_strings(&json, "none", NULL, 0);
  json_object_end(&json);
  CHECK_TEXT(text_string(&text),
             "{\"words\":[\"a\",null,\"\\\"b\\\"\"],\"numbers\":[0.1,null,3],"
             "\"integers\":[-1,9223372036854775807],\"none\":[]}");
  text_free(&text);
}

static void lists_are_split_and_words_filled(void) {
  struct arena arena = {0};
  size_t count;
  const char **items = text_split(&arena, ",a, bc ,,d", ", ", &count);
  CHECK(count == 3);
  CHECK_TEXT(items[0], "a");
  CHECK_TEXT(items[1], "bc");
  CHECK_TEXT(items[2], "d");
  CHECK(text_split(&arena, "", ",", &count) != NULL && count == 0);
  CHECK(text_split(&arena, NULL, ",", &count) == NULL && count == 0);
  char word[92] = {0}, *printed = NULL, wanted[256], digits[32];
  size_t length;
  memset(word, 'x', 91);
  FILE *out = open_memstream(&printed, &length);
  print_filled(out, arena_format(&arena, "  one\n%s two", word), 5, 3);
  fclose(out);
  snprintf(wanted, sizeof wanted, "one %s\n   two\n", word);  // 5 + 3 + 1 + 91 columns are a full line
  CHECK_TEXT(printed, wanted);
  free(printed);
  CHECK_TEXT(number_digits(NAN, 3, digits), "-");
  CHECK_TEXT(number_digits(1234.5, 3, digits), "1.23e+03");
  arena_free(&arena);
}

static void files_are_written_whole_and_folders_go_with_everything(void) {
  struct arena arena = {0};
  struct error error = {0};
  char base[] = "/tmp/isoloss-test-XXXXXX";
  CHECK(mkdtemp(base) != NULL);
  char *deep = path_join(&arena, base, "a/b/c"), *path = path_join(&arena, deep, "file");
  CHECK(folder_make(deep, &error) && folder_make(deep, &error));
  CHECK(file_write_atomic(path, "one", 3, &error));
  CHECK(file_write_atomic(path, "second", 6, &error));
  // A device takes what is written, and stays.
  struct stat device;
  CHECK(file_write_atomic("/dev/null", "x", 1, &error) && stat("/dev/null", &device) == 0 && S_ISCHR(device.st_mode));
  size_t length;
  CHECK_TEXT(file_read(&arena, path, &length, &error), "second");
  CHECK(length == 6 && error.code == EXIT_DONE);
  CHECK(!folder_make(path, &error) && strstr(error.text, "in the way"));
  error = (struct error){0};
  CHECK(file_read(&arena, path_join(&arena, base, "none"), NULL, &error) == NULL && error.code == EXIT_USAGE_ERROR);
  error = (struct error){0};
  // links are removed, not what they lead to: in the folder, and in its own place
  char *kept = path_join(&arena, base, "kept"), *inside = path_join(&arena, kept, "file");
  CHECK(folder_make(kept, &error) && file_write_atomic(inside, "x", 1, &error));
  CHECK(symlink(kept, path_join(&arena, deep, "link")) == 0 && folder_remove(path_join(&arena, base, "a"), &error));
  CHECK(file_exists(inside) && !file_exists(deep));
  char *link = path_join(&arena, base, "link");
  CHECK(symlink(kept, link) == 0 && folder_remove(link, &error) && file_exists(inside));
  CHECK(readlink(link, (char[2]){0}, 2) < 0);
  CHECK(folder_remove(base, &error) && !file_exists(base));
  CHECK(folder_remove(base, &error));
  arena_free(&arena);
}

static void parts_of_files_are_read_whole_or_not_at_all(void) {
  struct arena arena = {0};
  struct error error = {0};
  char base[] = "/tmp/isoloss-test-XXXXXX", part[4] = "";
  CHECK(mkdtemp(base) != NULL);
  char *path = path_join(&arena, base, "file");
  CHECK(file_write_atomic(path, "0123456789", 10, &error));
  int file = open(path, O_RDONLY);
  CHECK(file >= 0 && file_read_at(file, path, part, 3, 4, &error));
  CHECK_TEXT(part, "456");
  CHECK(file_read_at(file, path, part, 0, 10, &error) && file_read_at(file, path, part, 1, 9, &error));
  CHECK(!file_read_at(file, path, part, 3, 8, &error) && error.code == EXIT_USAGE_ERROR);
  CHECK(strstr(error.text, "/file ends too early") != NULL);
  close(file);
  error = (struct error){0};
  CHECK(!file_read_at(file, path, part, 1, 0, &error) && error.code == EXIT_ENVIRONMENT);
  folder_remove(base, &error);
  arena_free(&arena);
}

static void paths_have_one_spelling(void) {
  struct arena arena = {0};
  struct error error = {0};
  char base[PATH_MAX], real[PATH_MAX], here[PATH_MAX];
  snprintf(base, sizeof base, "%s/isoloss-base-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
  CHECK(mkdtemp(base) != NULL && realpath(base, real) && getcwd(here, sizeof here));
  CHECK(folder_make(path_join(&arena, base, "a/b"), &error));
  CHECK(symlink("a/b", path_join(&arena, base, "link")) == 0);
  CHECK(file_write_atomic(path_join(&arena, base, "a/b/file"), "x", 1, &error) && chdir(base) == 0);
  static const char *const same[][2] = {
      {"a/b/file", "a/b/file"},          {"./a//b/./file", "a/b/file"},
      {"link/file", "a/b/file"},         {"link/../b/file", "a/b/file"},
      {"a/b/*.txt", "a/b/*.txt"},        {"link/*/../x?", "a/b/x?"},
      {"gone/./../new//one", "new/one"}, {".", ""},
  };
  for (size_t i = 0; i < sizeof same / sizeof *same; i++)
    CHECK_TEXT(path_canonical(&arena, same[i][0]), *same[i][1] ? path_join(&arena, real, same[i][1]) : real);
  CHECK_TEXT(path_canonical(&arena, "/.."), "/");
  CHECK_TEXT(path_canonical(&arena, "/no-such-folder/../../x"), "/x");
  CHECK(chdir(here) == 0 && folder_remove(real, &error));
  arena_free(&arena);
}

static void a_lock_dies_with_its_holder(void) {
  struct arena arena = {0};
  struct error error = {0};
  char base[] = "/tmp/isoloss-test-XXXXXX";
  CHECK(mkdtemp(base) != NULL);
  char *path = path_join(&arena, base, "lock");
  int ready[2];
  CHECK(pipe(ready) == 0);
  pid_t child = fork();
  if (child == 0) {
    bool busy;
    char byte = file_lock(path, &busy, &error) >= 0;
    if (write(ready[1], &byte, 1) != 1) _exit(1);
    pause();
  }
  char byte = 0;
  CHECK(read(ready[0], &byte, 1) == 1 && byte == 1);
  bool busy = false;
  CHECK(file_lock(path, &busy, &error) == -1 && busy);
  CHECK(file_lock_wait(path, 0, &error) == -1 && strstr(error.text, "is held by another process"));
  error = (struct error){0};
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  int mine = file_lock(path, &busy, &error);
  CHECK(mine >= 0 && !busy);
  close(mine);
  // A link to somebody's file is no lock, wherever it leads.
  char *link = path_join(&arena, base, "link");
  CHECK(symlink(path, link) == 0 && file_lock(link, &busy, &error) == -1 && !busy && error.code == EXIT_ENVIRONMENT);
  CHECK(strstr(error.text, "link is a link"));
  error = (struct error){0};
  // Waiting ends when the holder does; the folder is made.
  path = path_join(&arena, base, "new/folder/lock");
  int held = file_lock_wait(path, 1, &error);
  CHECK(held >= 0);
  if ((child = fork()) == 0) {
    usleep(150 * 1000);
    _exit(0);  // with the descriptor that the lock is held by
  }
  close(held);
  held = file_lock_wait(path, 60, &error);
  CHECK(held >= 0 && waitpid(child, NULL, 0) == child);
  close(held);
  close(ready[0]);
  close(ready[1]);
  folder_remove(base, &error);
  arena_free(&arena);
}

static void diagnostics_come_in_order_of_place(void) {
  struct diagnostics list = {0};
  struct error error = {0};
  diagnostics_add(&list, false, "spec.yaml", 9, 3, "did you mean 'width'?", "unknown key '%s'", "wdith");
  diagnostics_add(&list, true, "spec.yaml", 2, 1, NULL, "nothing varies");
  char *printed = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&printed, &size);
  diagnostics_print(&list, out, false);
  fclose(out);
  CHECK_TEXT(printed,
             "spec.yaml:2:1: warning: nothing varies\n"
             "spec.yaml:9:3: error: unknown key 'wdith'\n    hint: did you mean 'width'?\n");
  CHECK(!diagnostics_check(&list, "spec.yaml", &error));
  CHECK_TEXT(error.text, "1 error in spec.yaml");
  free(printed);
  diagnostics_free(&list);
}

int main(void) {
  RUN(errors_keep_the_first_and_gain_context);
  RUN(errors_carry_their_place_and_fields);
  RUN(hints);
  RUN(arenas_zero_align_and_grow);
  RUN(numbers_are_written_shortest_and_read_back);
  RUN(numbers_are_read_whole_or_not_at_all);
  RUN(nearest_names);
  RUN(utf8);
  RUN(philox_known_answers);
  RUN(each_stream_has_a_number_of_its_own);
  RUN(random_draws_have_the_moments_of_their_laws);
  RUN(digests);
  RUN(json_output);
  RUN(json_arrays_under_keys);
  RUN(lists_are_split_and_words_filled);
  RUN(files_are_written_whole_and_folders_go_with_everything);
  RUN(parts_of_files_are_read_whole_or_not_at_all);
  RUN(paths_have_one_spelling);
  RUN(a_lock_dies_with_its_holder);
  RUN(diagnostics_come_in_order_of_place);
  return check_end();
}
