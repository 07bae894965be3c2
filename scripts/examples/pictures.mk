# make -f pictures.mk IMAGES=images TEST=test NEW=new
#
# A changed picture causes a new training. Only new pictures cost time, because the cache has the features of the others.
IMAGES = images
TEST = test
NEW = new
ACCURACY = 0.9

all: checked labels.csv

model.h5: $(shell find $(IMAGES) -type f -newer model.h5 2>/dev/null | sed 's/ /\\ /g') $(IMAGES)
	finetune train $(IMAGES) -o $@

checked: model.h5
	finetune evaluate $(TEST) -m model.h5 --min-accuracy $(ACCURACY)
	touch $@

labels.csv: model.h5 $(NEW)
	finetune predict $(NEW) -m model.h5 --format csv >$@.tmp
	mv $@.tmp $@

.PHONY: all
