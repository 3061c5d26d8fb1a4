export default { render: ({ model, el }) => frame(model, el, "run", "Training run", buildRun) };
