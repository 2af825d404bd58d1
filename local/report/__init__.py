"""The paper of this recipe: its figures, tables, pictures and the report page."""
