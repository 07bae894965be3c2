/* SPDX-License-Identifier: Apache-2.0
 *
 * What the command line is made of, beyond finetune.h: one header a subject. */
#ifndef FINETUNE_TOOLS_H
#define FINETUNE_TOOLS_H

#include "finetune/backbone.h"
#include "finetune/dataset.h"
#include "finetune/diagnosis.h"
#include "finetune/features.h"
#include "finetune/head.h"
#include "finetune/machine.h"
#include "finetune/model.h"
#include "finetune/report.h"

#endif
