// Stands for the XML parser that a reader of the renderer imports and that nothing here calls.
const nothing = () => { throw new Error("there is no XML here"); };
export const create = nothing, convert = nothing;
export default { create, convert };
