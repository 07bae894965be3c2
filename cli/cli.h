/* What the commands share. Results go to standard output; progress and messages go to standard
 * error. */
#ifndef FT_CLI_CLI_H
#define FT_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "finetune-tools.h"
#include "options.h"

/* EXIT_PARTLY: finished, but some pictures were bad or a required minimum was not reached. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_PARTLY = 3 };

/* ---- messages (message.c) -------------------------------------------------------------------- */

void message_init(const struct settings *settings);
/* Prints "finetune: ..." on standard error, always. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, but not with --quiet. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Suppresses notes until it is called with false. */
void hush_notes(bool hush);
/* A line about the progress of a long run ("features   1000/1000"); not with --quiet or --json. */
void report(const char *key, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for each line of a text, which is freed; nullable. */
void report_lines(const char *key, char *text);
/* A line of the result; not with --json. */
void result(const char *key, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints a text made by the library and frees it. Returns -1 if it is NULL. */
int print_text(char *text);
/* Names in files and models may hold any bytes. All of the above print control characters as '?'
 * (ft_text_plain), because they could control the terminal. */
/* Prints the message of an error; returns EXIT_FAILED. */
int fail(const struct ft_error *err);
/* Fills err; returns `code`. */
int refuse(struct ft_error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with the reason in errno at the end; returns FT_EIO. */
int refuse_errno(struct ft_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* "out of memory for 'NAME'"; returns FT_ENOMEM. */
int out_of_memory(struct ft_error *err, const char *name);

/* "512 kB", "10.2 GB"; writes to text [24] and returns it. */
const char *size_text(uint64_t bytes, char *text);
/* "s" unless n is 1. */
const char *plural(size_t n);

/* Flushes standard output. Returns false after a write has failed, for example because the reader
 * closed the pipe. */
bool flush_output(void);
/* Records that the result is not complete; `number` is the reason, as in errno. finish() prints it.
 */
void output_failed(int number);
/* The exit status of the program: `status`, or EXIT_FAILED if standard output could not be written.
 * A closed pipe is not an error. */
int finish(int status);

/* ---- signals (signals.c): SIGINT, SIGTERM and SIGHUP are only recorded between _catch and
 * _release
 */

void signals_catch(void);
void signals_release(void);
int signals_caught(void); /* the signal, or 0 */
/* A callback for the library: true if a signal was recorded. `user` is not used. */
bool signals_stop(void *user);
void signals_forget(void); /* the program then ends normally */
void signals_die(void);    /* ends the program with the recorded signal, if there is one */

/* ---- progress (message.c) -------------------------------------------------------------------- */

/* "features  312/1000 · 240 images/s · 3 s left", redrawn on a terminal; nothing elsewhere. */
struct progress {
    const char *what, *unit; /* "features", "images" */
    size_t total;            /* 0: unknown */
    double start, shown;
    bool drawn;
};
void progress_begin(struct progress *progress, const char *what, const char *unit, size_t total);
void progress_step(struct progress *progress, size_t done);
double
progress_end(struct progress *progress); /* clears the line; returns the seconds since begin */

/* ---- pictures to features (pictures.c) ------------------------------------------------------- */

struct bad_picture {
    char *path, *reason;
};

/* How to fit a head, by the options that train, curve and doctor share. */
struct ft_train_options fit_settings(const struct settings *settings);

struct pictures {
    struct ft_features *features; /* of the good pictures */
    struct bad_picture *bad;      /* [n_bad] */
    size_t n_bad;
    double seconds;
    struct ft_cache_counts cache;
};
/* Computes the features of all rows of a dataset and shows progress. Features that take more than
 * settings->memory go to a scratch file. */
int pictures_extract(const struct ft_backbone *backbone, const struct ft_dataset *dataset,
                     const struct settings *settings, struct pictures *out, struct ft_error *err);
void pictures_release(struct pictures *pictures);
/* Returns 0 if the features of `dataset` fit into settings->memory; otherwise an error that says
 * that `what` needs them in memory. */
int pictures_check_memory(const struct ft_backbone *backbone, const struct ft_dataset *dataset,
                          const struct settings *settings, const char *what, struct ft_error *err);
/* Trains a head on the features and validates it. Pictures of one group, as --group-by says, stay
 * in one fold. `dir` is the folder of the pictures. */
int pictures_train(const struct pictures *pictures, const struct ft_dataset *dataset,
                   const char *dir, const struct settings *settings, struct ft_head **head,
                   struct ft_validation **validation, struct ft_error *err);
/* Prints a note for each bad picture. */
void pictures_list_bad(const struct pictures *pictures);
/* Called by ft_inputs for a folder without pictures: says so, and counts it in *count (size_t). */
void say_empty(void *count, const char *dir);
/* Prints a note, once in a run, if the file of a picture has further frames or pages. */
void picture_note(const struct ft_row *row);
/* Prints notes on empty class folders and on files that are not pictures. */
void dataset_notes(const struct ft_dataset *dataset, const char *dir);
void extract_options(const struct settings *settings, struct ft_extract_options *out);
/* Opens the cache that the settings name. Returns NULL after a note if there is none. */
struct ft_cache *cache_open(const struct settings *settings);
/* Closes a cache (nullable) and prints a note if features could not be stored. */
struct ft_cache_counts cache_close(struct ft_cache *cache);

/* ---- networks and models (pictures.c) -------------------------------------------------------- */

void backbone_options(const struct settings *settings, struct ft_backbone_options *out);
/* Prints the warning of a network that was opened from `path`, if it has one. */
void backbone_notes(const struct ft_backbone *backbone, const char *path);
/* Opens the network `name` (NULL: the bundled one) for the pictures of a dataset: --layers auto
 * means all layers, or the last one if there are too many pictures. */
int backbone_open_for(const struct settings *settings, const char *name,
                      const struct ft_dataset *dataset, struct ft_backbone **out,
                      struct ft_error *err);
/* The first name that --backbone gave; NULL: the bundled network. */
const char *backbone_named(const struct settings *settings);
/* The precision of a network and what follows from it: "bf16 · by AVX512_BF16". */
const char *precision_text(const struct ft_backbone *backbone);
/* How this processor computes bf16; the text is in static memory. */
const char *bf16_text(void);
int model_open(const struct settings *settings, struct ft_model **out, struct ft_error *err);
/* The class with a name of n bytes; -1: there is none. */
int class_named(const char *name, size_t n, char *const *classes, int k);

/* ---- JSON (json.c): valid UTF-8 whatever the names of files are ------------------------------ */

struct cJSON;
void json_put_string(FILE *to, const char *string);
void json_print(struct cJSON *json); /* prints one line and deletes the object */
int json_print_text(char *text);     /* prints a JSON text and frees it; returns -1 if it is NULL */
/* Adds the array `skipped` of bad pictures, each with path and reason. */
void json_add_skipped(struct cJSON *json, const struct pictures *pictures);

#endif
