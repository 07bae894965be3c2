/* Warnings about results that a high accuracy may hide: the classifier is not better than always
 * answering with the largest class, or it never recognises some classes. */
#include <stdlib.h>

#include "finetune-tools.h"
#include "report/text.h"

static void add_missed(struct ft_text *t, const struct ft_metrics *m, char *const *classes)
{
    enum { SHOWN = 10 };
    int n = 0;
    for (int c = 0; c < m->k; c++)
        n += m->per_class[c].support && !m->confusion[c * m->k + c];
    if (!n)
        return;
    ft_text_add(t, "no picture of the class%s ", n > 1 ? "es" : "");
    for (int c = 0, shown = 0; c < m->k && shown < SHOWN; c++)
        if (m->per_class[c].support && !m->confusion[c * m->k + c])
            ft_text_add(t, "%s'%s'", shown++ ? ", " : "", classes[c]);
    if (n > SHOWN)
        ft_text_add(t, " and %d more", n - SHOWN);
    ft_text_add(t, " is classified correctly (recall 0)\n");
}

char *ft_report_warnings_text(const struct ft_metrics *m, char *const *classes)
{
    struct ft_text t = { 0 };
    struct ft_baseline b;
    ft_baseline_compute(m, &b);
    ft_text_add(&t, "%s", "");
    if (b.class_index >= 0 && !b.beaten)
        ft_text_add(&t,
                    "the classifier is %s better than always answering '%s', which is correct for "
                    "%.1f %% of the pictures\n",
                    m->accuracy > b.accuracy ? "not significantly" : "no", classes[b.class_index],
                    100 * b.accuracy);
    add_missed(&t, m, classes);
    return t.s;
}
