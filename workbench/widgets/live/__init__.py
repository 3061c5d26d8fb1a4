"""The live panels: anywidget bindings over records that exist without them."""
