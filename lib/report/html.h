/* The parts of the report. */
#ifndef FT_REPORT_HTML_H
#define FT_REPORT_HTML_H

#include "finetune-tools.h"
#include "report/text.h"

/* Appends text between tags or inside an attribute's double quotes, escaped. */
void ft_html_escape(struct ft_text *page, const char *text);
/* Appends an <img> with a data URI: the picture, or the heat map of an explanation. If the picture
 * cannot be read, appends a note instead. */
void ft_html_thumbnail(struct ft_text *page, const char *path, uint64_t max_pixels);
void ft_html_heat(struct ft_text *page, const struct ft_explanation *explanation,
                  const struct ft_question *question);
/* <svg> */
void ft_html_reliability(struct ft_text *page, const struct ft_metrics *metrics);
void ft_html_curve(struct ft_text *page, const struct ft_curve *curve);

#endif
