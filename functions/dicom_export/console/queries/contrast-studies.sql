-- Studies with images that were taken with a contrast agent, and the agents.
SELECT
  StudyInstanceUID,
  MIN(StudyDate) AS StudyDate,
  STRING_AGG(DISTINCT ContrastBolusAgent, ', ' ORDER BY ContrastBolusAgent) AS Agents,
  COUNT(DISTINCT SeriesInstanceUID) AS SeriesWithContrast
FROM dicomView
WHERE ContrastBolusAgent IS NOT NULL
GROUP BY StudyInstanceUID
ORDER BY 2, 1
