#include "thresholds.h"

#include <stdlib.h>
#include <string.h>

/* A number from 0 to 1 at the beginning of `text`; *end: what follows it. Negative: there is none.
 */
static double number(const char *text, const char **end)
{
    char *after;
    const double value = strtod(text, &after);
    *end = after;
    return after != text && (!*after || *after == ',') && value >= 0 && value <= 1 ? value : -1;
}

int thresholds_check(const struct settings *s)
{
    const char *end;
    if (!s->threshold || !strcmp(s->threshold, "auto") || strchr(s->threshold, '=') ||
        (number(s->threshold, &end) >= 0 && !*end))
        return 0;
    say("predict: '--threshold %.60s': expected a number from 0 to 1, or auto, or CLASS=P,...",
        s->threshold);
    return EXIT_USAGE;
}

/* Reads CLASS=P at `text` and sets the class; returns what follows, or NULL. Names may contain
 * commas and '='. */
static const char *read_class(const char *text, char *const *classes, int k, double *out)
{
    for (const char *equals = strchr(text, '='); equals; equals = strchr(equals + 1, '=')) {
        const char *end = NULL;
        const int c = class_named(text, (size_t)(equals - text), classes, k);
        const double value = c >= 0 ? number(equals + 1, &end) : -1;
        if (value < 0)
            continue;
        out[c] = value;
        return end;
    }
    return NULL;
}

/* Sets all classes to the one number without a name, then single ones to theirs. */
static int read_list(const struct settings *s, char *const *classes, int k, double *out,
                     struct ft_error *err)
{
    for (const char *text = s->threshold, *next; *text; text = next) {
        const double all = number(text, &next);
        if (all < 0)
            next = read_class(text, classes, k, out);
        else if (text == s->threshold)
            for (int c = 0; c < k; c++)
                out[c] = all;
        if (!next || (all >= 0 && text != s->threshold))
            return refuse(err, FT_EARG,
                          "--threshold '%s': expected CLASS=P at '%.40s', where P is from 0 to 1; "
                          "finetune info %s lists the classes",
                          s->threshold, text, s->model);
        next += *next == ',';
    }
    return 0;
}

int thresholds_read(const struct settings *s, const struct ft_model *model, double *out,
                    struct ft_error *err)
{
    const int k = ft_model_classes(model);
    const bool stored = s->threshold && !strcmp(s->threshold, "auto");
    const double all = stored ? ft_model_threshold(model) : ft_model_independent(model) ? 0.5 : 0;
    if (all < 0)
        return refuse(err, FT_EARG,
                      "'%s' contains no threshold: give a number, as in --threshold 0.9", s->model);
    for (int c = 0; c < k; c++)
        out[c] = all;
    return s->threshold && !stored ? read_list(s, ft_model_class_names(model), k, out, err) : 0;
}
